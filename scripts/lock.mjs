// Writes package-lock.json for all platforms: node scripts/lock.mjs, after a dependency has changed.
// Where the packages come from is left to each machine's own npm configuration.
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LOCK = "package-lock.json";

// Away from node_modules, which knows this platform's packages only.
const folder = mkdtempSync(join(tmpdir(), "flowprobe-lock-"));
try {
  for (const name of ["package.json", ".npmrc", LOCK]) {
    if (existsSync(join(ROOT, name))) copyFileSync(join(ROOT, name), join(folder, name));
  }
  const switches = ["--package-lock-only", "--ignore-scripts"];
  const result = spawnSync(
    "npm",
    ["install", ...switches, "--omit-lockfile-registry-resolved=false"],
    { cwd: folder, stdio: "inherit", shell: process.platform === "win32" },
  );
  if (result.status !== 0) process.exit(1);
  const lock = JSON.parse(readFileSync(join(folder, LOCK), "utf8"));
  for (const entry of Object.values(lock.packages)) delete entry.resolved;
  writeFileSync(join(ROOT, LOCK), `${JSON.stringify(lock, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
