import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { editConfig, withSection } from "../support/checkpoint-edits.ts";

const FIXTURE = join(import.meta.dirname, "..", "parity", "fixtures", "m-qwen2-5-vl");
const PICTURE = { width: 40, height: 24 };
const root = mkdtempSync(join(tmpdir(), "flowprobe-windows-"));
after(() => rmSync(root, { recursive: true }));

/** Video tokens of two noise frames, with some settings of the tower changed. */
async function tokensWith(name: string, keys: Record<string, unknown>): Promise<Float32Array> {
  const folder = join(root, name);
  cpSync(FIXTURE, folder, { recursive: true });
  editConfig(folder, (config) => withSection(config, "vision_config", keys));
  const settings = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;
  const model = await OpenModel.open(await readModelSpec(folder), settings);
  const count = 2 * 3 * PICTURE.width * PICTURE.height;
  const pixels = Float32Array.from({ length: count }, (_, i) => Math.sin(i * i));
  const { tokens } = await model.videoTokens(pixels, 2, () => {}, PICTURE);
  await model.release();
  return tokens;
}

test("a window wider than the picture is the whole picture", async () => {
  const wide = await tokensWith("wide", { window_size: 589 });
  const whole = await tokensWith("whole", { fullatt_block_indexes: [0, 1, 2] });
  const largest = whole.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = wide.reduce((most, v, i) => Math.max(most, Math.abs(v - (whole[i] ?? 0))), 0);
  assert.ok(error < 1e-5 * largest, `${error} of ${largest}`);
});
