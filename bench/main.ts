// npm run bench [-- clean|sweep|embedded|editor|7b …]: the budget table with measured figures. The parts run
// in a process with the engine's own environment; without names all but the 7B shape are measured.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { childEnvironment, sourceSwitches } from "../src/engine/service/environment.ts";

const child = fork(fileURLToPath(new URL("./parts.ts", import.meta.url)), process.argv.slice(2), {
  env: childEnvironment(),
  execArgv: sourceSwitches(),
  stdio: "inherit",
});
child.once("exit", (code) => process.exit(code ?? 1));
