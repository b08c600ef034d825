// Builds dist/ when it is missing or older than its sources.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMain } from "./is-main.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCES = ["src", "webview", "esbuild.mjs", "package.json"];
const OUTPUTS = ["extension.js", "engine.js", "reader.js", "cli.js", "webview.js", "webview.css"];

/** Time of the newest change in a file or a folder, in milliseconds. */
function newest(path) {
  const state = statSync(path);
  if (!state.isDirectory()) return state.mtimeMs;
  return Math.max(state.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function isBuilt() {
  const outputs = OUTPUTS.map((name) => join(ROOT, "dist", name));
  if (!outputs.every((path) => existsSync(path))) return false;
  const built = Math.min(...outputs.map((path) => statSync(path).mtimeMs));
  return built >= Math.max(...SOURCES.map((name) => newest(join(ROOT, name))));
}

/** Builds what is out of date, with messages on stderr; ends the process when that fails. */
export function ensureBuilt() {
  if (isBuilt()) return;
  const result = spawnSync(process.execPath, ["esbuild.mjs"], {
    cwd: ROOT,
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (result.status === 0) return;
  console.error("the build failed; see its messages above");
  process.exit(1);
}

if (isMain(import.meta.url)) ensureBuilt();
