// npm start: analyzes a sample clip, then serves a VS Code with the extension in it, for the browser.
// npm start -- --headless ends after the analysis.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureBuilt } from "./build.mjs";
import { ensureInstalled } from "./install.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SAMPLE = join("samples", "moving-direction-1.mp4");
const RUNS = `flowprobe-runs/`;

const { values } = parseArgs({
  options: { headless: { type: "boolean" }, port: { type: "string" } },
});

/** Runs one of our programs in this terminal; its exit code. */
function run(...args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: "inherit" });
  // Ctrl-C reaches the child by itself; it decides how to end.
  const wait = () => {};
  process.on("SIGINT", wait);
  const pass = () => child.kill("SIGTERM");
  process.on("SIGTERM", pass);
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.once("exit", (code) => {
      process.off("SIGINT", wait);
      process.off("SIGTERM", pass);
      resolve(code ?? 1);
    });
  });
}

ensureInstalled();
ensureBuilt();
const analyzed = await run(join("dist", "cli.js"), "analyze", SAMPLE, "--out", RUNS);
if (analyzed !== 0 || values.headless === true) process.exit(analyzed);
const port = values.port === undefined ? [] : [values.port];
process.exit(await run(join("scripts", "serve.mjs"), ...port));
