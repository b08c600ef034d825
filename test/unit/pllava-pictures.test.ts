import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PLLAVA_PROCESSOR } from "../../src/engine/families/llava/processor.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import type { Resample } from "../../src/video/pillow-resize.ts";
import { cropRectangle, FramePreparer } from "../../src/video/preprocess.ts";
import { noise } from "../support/noise.ts";

/** What the reference's own processor gives (data/make_pllava.py). */
const CASES = JSON.parse(readFileSync(new URL("data/pllava.json", import.meta.url), "utf8")) as {
  readonly frames: readonly [width: number, height: number][];
  readonly side: number;
  readonly resample: Resample;
  readonly sha256: string;
}[];

function processor(side: number, resample: Resample, changes: object = {}) {
  const settings = { size: { shortest_edge: side }, crop_size: side };
  const filters = { resample: resample === "bilinear" ? 2 : 3 };
  return parseImageProcessor({ ...settings, ...filters, ...changes }, "the file", PLLAVA_PROCESSOR);
}

for (const { frames, side, resample, sha256 } of CASES) {
  const sizes = frames.map((size) => size.join("x")).join(", ");
  test(`${sizes} to ${side}, ${resample}: the reference's bytes`, () => {
    const preparer = new FramePreparer(processor(side, resample), frames.length);
    const hash = createHash("sha256");
    for (const size of frames) hash.update(preparer.prepare(noise(...size)).data);
    assert.equal(hash.digest("hex"), sha256);
  });
}

test("the first resize stays where the file's own is off", () => {
  const spec = processor(64, "bicubic", { do_resize: false, do_center_crop: false });
  const { width, height } = new FramePreparer(spec, 1).prepare(noise(854, 480));
  assert.deepEqual([width, height], [638, 359]);
});

test("a size of another form has no first resize", () => {
  const spec = processor(64, "bicubic", { size: { height: 64, width: 64 } });
  assert.deepEqual(spec.resize, [{ height: 64, width: 64 }]);
});

test("the model sees the middle of a large frame", () => {
  // 597 x 336, of which the columns from 130 to 466 stay.
  const { x, y, width, height } = cropRectangle(
    { width: 1280, height: 720 },
    processor(336, "bicubic"),
  );
  const scale = 1280 / 597;
  assert.deepEqual([x, y, width, height], [130 * scale, 0, 336 * scale, 720]);
});
