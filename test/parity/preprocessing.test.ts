import assert from "node:assert/strict";
import { test } from "node:test";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { CLIP_PROCESSOR } from "../../src/engine/families/shared/clip-processor.ts";
import { type ImageProcessorSpec, parseImageProcessor } from "../../src/video/image-processor.ts";
import { type PixelValues, preprocess } from "../../src/video/preprocess.ts";
import { readFrameProcessor } from "../../src/video/processor-file.ts";
import { CASE_NAMES, FAMILY_CASES, loadFixture, loadPreprocessing } from "./fixtures.ts";
import { Errors } from "./measure.ts";

for (const item of await loadPreprocessing()) {
  test(`${item.name}: the picture is the processor's`, (t) => {
    const [height = 0, width = 0] = item.source.shape;
    const spec = parseImageProcessor(item.processor, item.name, CLIP_PROCESSOR);
    const result = preprocess([{ width, height, data: item.source.data }], spec);
    assert.deepEqual(result.shape, [1, 3, item.height, item.width]);
    const errors = new Errors();
    const rowSize = item.width * 3;
    const every = bytesOf(result, spec);
    const rows = Array.from({ length: item.expected.shape[0] ?? 0 }, (_, i) => {
      const from = i * item.everyNthRow * rowSize;
      return Array.from(every.subarray(from, from + rowSize));
    });
    errors.pixels("pixels, of 255", rows.flat(), item.expected.data);
    if (item.pixelValues !== undefined) {
      const picked = [0, 1, 2].flatMap((c) =>
        Array.from({ length: Math.ceil(item.height / 16) }, (_, i) => {
          const from = (c * item.height + i * 16) * item.width;
          return Array.from(result.data.subarray(from, from + item.width));
        }).flat(),
      );
      errors.tensor("normalised values", picked, item.pixelValues.data);
    }
    errors.settle(t);
  });
}

for (const name of [...CASE_NAMES, ...FAMILY_CASES]) {
  test(`${name}: frames become the processor's pixel values`, async (t) => {
    const { folder, facts, frames, tensors } = await loadFixture(name);
    const { processor } = await readModelSpec(folder);
    const spec = await readFrameProcessor(folder, processor);
    const [count, height, width] = facts.frames;
    const size = height * width * 3;
    const images = Array.from({ length: count }, (_, i) => ({
      width,
      height,
      data: frames.subarray(i * size, (i + 1) * size),
    }));
    const result = preprocess(images, spec);
    const expected = tensors.bytes("pixels");
    const [, rows = 0, columns = 0] = expected.shape;
    assert.deepEqual(result.shape, [count, 3, rows, columns]);
    const errors = new Errors();
    errors.pixels("pixels, of 255", bytesOf(result, spec), expected.data);
    errors.settle(t);
  });
}

/** [T, H, W, 3] of 255, from normalised [T, 3, H, W]. */
function bytesOf(
  { data, shape: [frames, , height, width] }: PixelValues,
  { normalize }: ImageProcessorSpec,
): Float32Array {
  const { mean = [0, 0, 0], std = [1, 1, 1] } = normalize ?? {};
  const out = new Float32Array(data.length);
  const plane = height * width;
  for (let frame = 0; frame < frames; frame++) {
    for (let c = 0; c < 3; c++) {
      for (let at = 0; at < plane; at++) {
        const value = data[(frame * 3 + c) * plane + at] ?? Number.NaN;
        out[(frame * plane + at) * 3 + c] = (value * (std[c] ?? 1) + (mean[c] ?? 0)) * 255;
      }
    }
  }
  return out;
}
