// Builds what ships: dist/extension.js (VS Code loads it), dist/engine.js (the engine's process),
// dist/cli.js (the command line) and dist/webview.js with dist/webview.css (the panel).
// Flags: --production (minified, no source maps), --watch.
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const production = process.argv.includes("--production");
const watch = process.argv.includes("--watch");
const root = fileURLToPath(new URL(".", import.meta.url));

/** Native packages and what VS Code provides stay outside the bundles. */
const EXTERNAL = ["vscode", "onnxruntime-node", "node-av", "node-av/*"];

/** @type {esbuild.BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  minify: production,
  sourcemap: production ? false : "linked",
  logLevel: "warning",
  legalComments: "linked",
};

/** @type {esbuild.BuildOptions} */
const node = {
  ...common,
  platform: "node",
  target: "node20",
  format: "esm",
  external: EXTERNAL,
  // Bundled CommonJS packages still ask for Node's own modules by `require`.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
};

const builds = [
  { ...node, entryPoints: { extension: "src/host/extension.ts" }, outdir: "dist" },
  { ...node, entryPoints: { engine: "src/engine/service/main.ts" }, outdir: "dist" },
  { ...node, entryPoints: { cli: "src/cli/main.ts" }, outdir: "dist" },
  {
    ...common,
    platform: "browser",
    target: "chrome120",
    format: "iife",
    entryPoints: { webview: "webview/main.ts" },
    outdir: "dist",
  },
  { ...common, entryPoints: { webview: "webview/style.css" }, outdir: "dist" },
];

if (!watch) rmSync(new URL("dist", import.meta.url), { recursive: true, force: true });
mkdirSync(new URL("dist", import.meta.url), { recursive: true });
// The bundles are ES modules wherever they are unpacked.
writeFileSync(new URL("dist/package.json", import.meta.url), '{ "type": "module" }\n');
for (const options of builds) {
  const [entry] = Object.values(options.entryPoints);
  if (!existsSync(new URL(entry, import.meta.url))) {
    console.error(`${entry} is missing`);
    process.exitCode = 1;
    continue;
  }
  if (watch) await (await esbuild.context(options)).watch();
  else await esbuild.build(options);
}
