// What a clean clone must pass, on the oldest and the newest Node and VS Code that are supported.
// Ends with one line over all: "N passed, N failed".
import { spawn } from "node:child_process";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { register } from "tsx/esm/api";
import { runNpm } from "./npm.mjs";

register();
const { ownNode } = await import("./own-node.ts");

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const NODES = [20, 24];
const VSCODES = ["oldest", "newest"];

/** Environment in which `node` and npm are of this version. */
function environmentOf(node) {
  return { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
}

/** Runs layers of tests on a Node; what their last line counts. */
async function test(node, ...args) {
  const child = spawn(node, ["scripts/test.mjs", ...args], {
    cwd: ROOT,
    env: environmentOf(node),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    process.stdout.write(text);
    printed = (printed + text).slice(-1_000);
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  const [, passed, failed] = /(?:^|\n)(\d+) passed, (\d+) failed\n$/.exec(printed) ?? [0, 0, 0];
  const died = code !== 0 && Number(failed) === 0;
  return { passed: Number(passed), failed: Number(failed) + (died ? 1 : 0) };
}

const begun = performance.now();
const counts = [];
const check = runNpm(["run", "--silent", "check"], { cwd: ROOT, stdio: "inherit" });
counts.push(check.status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
for (const major of NODES) counts.push(await test(ownNode(major), "unit", "parity"));
for (const name of VSCODES) counts.push(await test(process.execPath, "host", "--vscode", name));
counts.push(await test(process.execPath, "panel", "fuzz"));
const sum = (key) => counts.reduce((total, count) => total + count[key], 0);
console.log(`${((performance.now() - begun) / 60_000).toFixed(1)} minutes`);
console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
process.exit(sum("failed") === 0 ? 0 : 1);
