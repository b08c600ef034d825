// Builds what ships: dist/extension.js (VS Code loads it), dist/engine.js (the engine's process),
// dist/reader.js (the processes that read foreign files), dist/cli.js (the command line) and dist/webview.js with dist/webview.css (the panel).
// Flags: --production (minified, no source maps), --watch.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { isMain } from "./scripts/is-main.mjs";

const ROOT = fileURLToPath(new URL(".", import.meta.url));

/** @type {esbuild.BuildOptions} */
const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  sourcemap: "linked",
  logLevel: "warning",
  legalComments: "linked",
  outdir: "dist",
};

/**
 * How a program for Node is bundled.
 *
 * @type {esbuild.BuildOptions}
 */
export const NODE_BUNDLE = {
  ...COMMON,
  platform: "node",
  target: "node20",
  format: "esm",
  // Native packages and what VS Code provides stay outside the bundles.
  external: ["vscode", "onnxruntime-node"],
  // Bundled CommonJS packages still ask for Node's own modules by `require`.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
};

/** Each by itself: the engine's process must not wait for the other bundles' parts. */
const BUNDLES = [
  { ...NODE_BUNDLE, entryPoints: { extension: "src/host/extension.ts" } },
  { ...NODE_BUNDLE, entryPoints: { engine: "src/engine/service/main.ts" } },
  { ...NODE_BUNDLE, entryPoints: { reader: "src/host/reader/main.ts" } },
  // What one command alone needs (the proxy's agent) is a file of its own.
  {
    ...NODE_BUNDLE,
    splitting: true,
    chunkNames: "cli-[hash]",
    entryPoints: { cli: "src/cli/main.ts" },
  },
  {
    ...COMMON,
    platform: "browser",
    target: "chrome120",
    format: "iife",
    entryPoints: { webview: "webview/main.ts" },
    // Also in development: a panel is loaded anew each time, and what is tested is what ships.
    minify: true,
  },
  { ...COMMON, entryPoints: { webview: "webview/style.css" } },
];

async function main() {
  const production = process.argv.includes("--production");
  const watch = process.argv.includes("--watch");
  const dist = new URL("dist/", import.meta.url);
  if (!watch) rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  // The bundles are ES modules wherever they are put.
  writeFileSync(new URL("package.json", dist), '{ "type": "module" }\n');
  for (const bundle of BUNDLES) {
    const options = {
      ...bundle,
      minify: production || bundle.minify === true,
      ...(production ? { sourcemap: false } : {}),
    };
    if (watch) await (await esbuild.context(options)).watch();
    else await esbuild.build(options);
  }
}

if (isMain(import.meta.url)) await main();
