import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "../../scripts/code-server.ts";
import { PanelReader } from "./support/panel.ts";
import { makeWorkspace, VSCodeWindow } from "./support/window.ts";

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const TARGET = `${process.platform}-${process.arch}`;
const BUDGET_BYTES = 80e6;

let vsix = "";
let window: VSCodeWindow | undefined;
before(() => {
  const options = { cwd: ROOT, encoding: "utf8" } as const;
  const printed = execFileSync(process.execPath, ["scripts/package.mjs"], options);
  vsix = join(ROOT, `flowprobe-${TARGET}-${version}.vsix`);
  assert.match(printed, /MB/);
});
after(() => window?.close());

test("the package of this platform keeps its size and holds no other platform's binaries", (context) => {
  const { size } = statSync(vsix);
  context.diagnostic(`${(size / 1e6).toFixed(1)} MB`);
  assert.ok(size <= BUDGET_BYTES, `${size} bytes`);
  const listed = execFileSync("unzip", ["-Z1", vsix], { encoding: "utf8" }).split("\n");
  const natives = listed.filter((name) => /\.(node|so|dll|dylib)(\.\d+)*$/.test(name));
  assert.ok(natives.length >= 2, natives.join());
  for (const name of natives) {
    assert.match(name, new RegExp(`${process.platform}[/-]${process.arch}`), name);
    assert.doesNotMatch(name, /cuda|tensorrt/i);
  }
  for (const needed of [
    "dist/extension.js",
    "dist/engine.js",
    "models/embedded/config.json",
    "vendor/ffmpeg/ffmpeg.wasm",
    "vendor/ffmpeg/COPYING.LGPLv2.1",
    "vendor/ffmpeg/build.sh",
  ]) {
    assert.ok(listed.includes(`extension/${needed}`), needed);
  }
  const surplus = /\.ts$|\.map$|^extension\/(src|test|training|node_modules)\//;
  assert.deepEqual(
    listed.filter((name) => surplus.test(name)),
    [],
  );
});

test("installed into a clean VS Code, it analyzes the sample by the walkthrough's command", async (context) => {
  window = await VSCodeWindow.open(makeWorkspace(), { extension: { vsix } });
  const begun = performance.now();
  await window.command("Flowprobe: Analyze the Sample Clip");
  const panel = new PanelReader(window.panel());
  await panel.firstChart.waitFor();
  await panel.waitForStatus("Finished in");
  const seconds = (performance.now() - begun) / 1000;
  context.diagnostic(`first analysis after the installation: ${seconds.toFixed(1)} s`);
});
