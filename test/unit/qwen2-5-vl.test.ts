import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { QWEN2_5_VL_PROCESSOR } from "../../src/engine/families/qwen2-5-vl/processor.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { isNative, tokenGrid } from "../../src/engine/families/shared/spec.ts";
import { coveredFrames } from "../../src/runs/token-frames.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import { editConfig, withSection } from "../support/checkpoint-edits.ts";
import { assertRefused } from "../support/refused.ts";

const FIXTURE = fileURLToPath(new URL("../parity/fixtures/m-qwen2-5-vl", import.meta.url));

describe("reading a Qwen2.5-VL checkpoint", () => {
  const root = mkdtempSync(join(tmpdir(), "flowprobe-qwen-"));
  const folder = join(root, "copy");

  beforeEach(() => {
    rmSync(folder, { recursive: true, force: true });
    cpSync(FIXTURE, folder, { recursive: true });
  });
  after(() => rmSync(root, { recursive: true }));

  const refused = (...named: string[]) => assertRefused(folder, ...named);

  test("gives one grid of tokens for each pair of frames, of the picture's shape", async () => {
    const spec = await readModelSpec(folder);
    assert.ok(isNative(spec));
    assert.deepEqual(
      spec.vision.layers.map(({ windowed }) => windowed),
      [true, false, true],
    );
    const grid = tokenGrid(spec, 7, { width: 40, height: 24 });
    assert.deepEqual(grid, { frames: 4, rows: 3, columns: 5 });
    assert.throws(() => tokenGrid(spec, 2, { width: 44, height: 24 }), /44 x 24 pixels/);
  });

  test("settings that cannot be used are refused with key and value", async () => {
    const vision = (keys: Record<string, unknown>) =>
      editConfig(folder, (config) => withSection(config, "vision_config", keys));
    vision({ temporal_patch_size: 1 });
    await refused("vision_config.temporal_patch_size", "is 1");
    vision({ temporal_patch_size: 2, window_size: 4 });
    await refused("vision_config.window_size", "is 4");
    vision({ window_size: 16, fullatt_block_indexes: "all" });
    await refused("vision_config.fullatt_block_indexes", '"all"');
    vision({ fullatt_block_indexes: [1], out_hidden_size: 64 });
    await refused("vision_config.out_hidden_size", "is 64");
  });

  test("rotations that it cannot have are refused with key and value", async () => {
    const rope = (rope_scaling: unknown) =>
      editConfig(folder, (config) => ({ ...config, rope_scaling }));
    rope({ type: "ntk", factor: 4 });
    await refused("rope_scaling.type", "ntk");
    rope({ type: "mrope", mrope_section: [16, 24, 24] });
    await refused("rope_scaling.mrope_section", "[16,24,24]", "6 in all");
    rope({ type: "mrope", mrope_section: [3, 1, 2] });
  });
});

test("settings of its processor that cannot be used are refused with key and value", () => {
  const parse = (json: object) => () => parseImageProcessor(json, "p.json", QWEN2_5_VL_PROCESSOR);
  assert.throws(parse({ temporal_patch_size: 3 }), /p\.json: "temporal_patch_size" is 3/);
  assert.throws(parse({ size: { height: 3, width: 4 } }), /"size" is/);
  assert.throws(parse({ fps: 2, num_frames: 8 }), /"num_frames" is 8/);
  assert.throws(parse({ fps: -1 }), /"fps" is -1/);
});

test("a grid of several frames is called by the frames it covers", () => {
  assert.equal(coveredFrames(1, 4, 4), "Frame 2");
  assert.equal(coveredFrames(1, 4, 8), "Frames 3-4");
});
