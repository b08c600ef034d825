import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../scripts/code-server.ts";

const SOURCES = ["src", "webview", "esbuild.mjs"] as const;

function newest(path: string): number {
  const state = statSync(path);
  if (!state.isDirectory()) return state.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** Builds the extension unless what is there is newer than its sources. */
export function buildExtension(): void {
  const built = join(ROOT, "dist", "extension.js");
  const sources = Math.max(...SOURCES.map((name) => newest(join(ROOT, name))));
  if (existsSync(built) && statSync(built).mtimeMs > sources) return;
  const result = spawnSync(process.execPath, ["esbuild.mjs"], { cwd: ROOT, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`the build failed:\n${result.stdout}${result.stderr}`);
}
