// Runs layers of tests (test/<layer>), all of them by default, and ends with one line:
// "N passed, N failed". A layer without tests, a skipped test and a runner that dies are failures.
// --vscode oldest runs the host layer in the oldest VS Code that is supported, not in today's.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureInstalled } from "./install.mjs";
import { paritySummary } from "./parity-summary.mjs";
import { chooseServer, SERVER_VARIABLE } from "./vscode/servers.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LAYERS = ["unit", "parity", "fuzz", "host", "panel"];
/** Layers that open windows: one file at a time. */
const ALONE = new Set(["host", "panel"]);
/** A layer that takes longer hangs. */
const LIMIT_MS = 45 * 60_000;
/** A program in a layer's folder, without whose success no test of it can succeed. */
const FIRST = join("support", "first.ts");

/** Test files of a layer, in the order of their names. */
function filesOf(layer) {
  const folder = join(ROOT, "test", layer);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => join(folder, name));
}

/** A counter of TAP's closing lines, such as "# pass 3". */
function counter(tap, name) {
  const found = tap.match(new RegExp(`^# ${name} (\\d+)$`, "m"));
  return found === null ? 0 : Number(found[1]);
}

/** Runs Node on TypeScript, for a layer; its exit code. */
async function run(layer, args) {
  const stdio = ["ignore", "inherit", "inherit"];
  const child = spawn(process.execPath, ["--import", "tsx", ...args], { cwd: ROOT, stdio });
  const limit = setTimeout(() => {
    console.error(`${layer} did not end within ${LIMIT_MS / 60_000} minutes`);
    child.kill("SIGKILL");
  }, LIMIT_MS);
  const code = await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(limit);
  return code;
}

/** Layers that are asked for; a wrong flag ends the process. */
function readFlags() {
  try {
    const { values, positionals } = parseArgs({
      options: { vscode: { type: "string" } },
      allowPositionals: true,
    });
    if (values.vscode !== undefined) process.env[SERVER_VARIABLE] = values.vscode;
    chooseServer();
    return positionals.length > 0 ? positionals : LAYERS;
  } catch (error) {
    console.error(error.message);
    return process.exit(2);
  }
}

/** Runs a layer and counts how it ended. */
async function runLayer(layer, folder) {
  const files = filesOf(layer);
  console.log(`== ${layer}: ${files.length} files, Node ${process.versions.node}`);
  if (files.length === 0) {
    console.log(`test/${layer} has no tests`);
    return { passed: 0, failed: 1 };
  }
  const first = join(ROOT, "test", layer, FIRST);
  if (existsSync(first) && (await run(layer, [first])) !== 0) return { passed: 0, failed: 1 };
  const report = join(folder, `${layer}.tap`);
  const code = await run(layer, [
    "--test",
    ...(ALONE.has(layer) ? ["--test-concurrency=1"] : []),
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    "--test-reporter=tap",
    `--test-reporter-destination=${report}`,
    ...files,
  ]);
  const tap = existsSync(report) ? readFileSync(report, "utf8") : "";
  if (layer === "parity") {
    for (const line of paritySummary(tap, join(ROOT, "test", "parity", "fixtures"))) {
      console.log(line);
    }
  }
  const passed = counter(tap, "pass");
  const failed = ["fail", "cancelled", "skipped", "todo"].reduce(
    (sum, name) => sum + counter(tap, name),
    0,
  );
  const died = code !== 0 && failed === 0;
  if (died) console.error(`the runner of ${layer} ended with code ${code}`);
  return { passed, failed: failed + (died || passed === 0 ? 1 : 0) };
}

const layers = readFlags();
ensureInstalled();
const folder = mkdtempSync(join(tmpdir(), "flowprobe-tests-"));
let passed = 0;
let failed = 0;
for (const layer of layers) {
  const counted = await runLayer(layer, folder);
  passed += counted.passed;
  failed += counted.failed;
}
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
