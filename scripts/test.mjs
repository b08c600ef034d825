// Runs the named layers of tests (test/<layer>) and ends with one line: "N passed, N failed".
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const layers = process.argv.slice(2);

if (!existsSync(join(root, "node_modules"))) {
  const install = spawnSync(
    "npm",
    ["install", "--no-save", "--no-package-lock", "--no-fund", "--no-audit"],
    {
      cwd: root,
      stdio: "inherit",
      shell: process.platform === "win32",
    },
  );
  if (install.status !== 0) {
    console.error("npm install failed, so no test could run");
    process.exit(1);
  }
}

/** Runs one command, passing its output on, and returns that output and the exit code. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Reads a counter ("# pass 3" in TAP, "ℹ pass 3" in spec output) from node:test's closing lines. */
function counter(output, name) {
  const found = output.match(new RegExp(`^(?:#|ℹ) ${name} (\\d+)$`, "m"));
  return found === null ? 0 : Number(found[1]);
}

let passed = 0;
let failed = 0;
for (const layer of layers) {
  const folder = join(root, "test", layer);
  const files = readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(folder, name));
  console.log(`== ${layer}: ${files.length} files`);
  const args = ["--import", "tsx", "--test", "--test-reporter=tap", ...files];
  const { code, output } = await run(process.execPath, args);
  const layerPassed = counter(output, "pass");
  const layerFailed =
    counter(output, "fail") + counter(output, "cancelled") + counter(output, "skipped");
  passed += layerPassed;
  failed += layerFailed;
  // A layer that ran nothing, or whose runner died, is a failure in its own right.
  if (layerPassed === 0 || (code !== 0 && layerFailed === 0)) failed += 1;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
