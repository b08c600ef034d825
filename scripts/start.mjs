// npm start: analyzes a sample clip, then serves a VS Code with the extension in it, for the browser.
// npm start -- --headless ends after the analysis; --port 9000 wishes another port than 8420;
// --vscode oldest serves the oldest VS Code that is supported.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureBuilt } from "./build.mjs";
import { onEnd } from "./ends.mjs";
import { ensureInstalled } from "./install.mjs";
import { chooseServer, SERVER_VARIABLE } from "./vscode/servers.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SAMPLE = join("samples", "moving-direction-1.mp4");
const RUNS = `flowprobe-runs/`;
const PORT = 8420;

/** Says what is wrong with the command's flags, and ends. */
function refuse(why) {
  console.error(`npm start: ${why}`);
  process.exit(2);
}

function readFlags() {
  try {
    const text = { type: "string" };
    const options = { headless: { type: "boolean" }, port: text, vscode: text };
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(error.message);
  }
}

/** Runs one of our programs in this terminal; its exit code. */
function run(...args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: "inherit" });
  // Ctrl-C reaches the child by itself; it decides how to end.
  const off = onEnd((why) => why === "SIGINT" || child.kill("SIGTERM"));
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.once("exit", (code) => {
      off();
      resolve(code ?? 1);
    });
  });
}

const flags = readFlags();
if (flags.vscode !== undefined) process.env[SERVER_VARIABLE] = flags.vscode;
try {
  chooseServer();
} catch (error) {
  refuse(error.message);
}
const port = Number(flags.port ?? process.env.PORT ?? PORT);
if (!Number.isInteger(port) || port < 1 || port > 65_535) refuse("a port is 1 to 65535");

ensureInstalled();
ensureBuilt();
const analyzed = await run(join("dist", "cli.js"), "analyze", SAMPLE, "--out", RUNS);
if (analyzed !== 0 || flags.headless === true) process.exit(analyzed);
const { serve } = await import("./serve.mjs");
try {
  await serve(port);
  process.exit(0);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
