import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { InputError, ModelError } from "../../src/common/errors.ts";
import { readSafetensorsHeader } from "../../src/engine/checkpoint/safetensors.ts";
import { CLIP_PROCESSOR } from "../../src/engine/families/shared/clip-processor.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import { pillowResize, type Resample } from "../../src/video/pillow-resize.ts";
import { cropRectangle, preprocess } from "../../src/video/preprocess.ts";
import type { RgbImage } from "../../src/video/types.ts";
import { noise } from "../support/noise.ts";

const DATA = fileURLToPath(new URL("data/", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../parity/fixtures/preprocessing/", import.meta.url));

test("resizing gives Pillow's bytes, for every filter, growing and shrinking", () => {
  const cases = JSON.parse(readFileSync(join(DATA, "resize.json"), "utf8")) as {
    from: [number, number];
    to: [number, number];
    resample: Resample;
    sha256: string;
  }[];
  assert.equal(cases.length, 60);
  for (const { from, to, resample, sha256 } of cases) {
    const out = pillowResize(noise(...from), ...to, resample);
    const found = createHash("sha256").update(out).digest("hex");
    assert.equal(found, sha256, `${from.join("x")} to ${to.join("x")}, ${resample}`);
  }
});

test("a window of the resized picture is that part of the whole", () => {
  const image = noise(61, 43);
  const window = { left: 7, top: 4, width: 20, height: 11 };
  for (const resample of ["nearest", "bicubic", "lanczos"] as const) {
    for (const [width, height] of [
      [40, 30],
      [90, 43],
      [61, 43],
    ] as const) {
      const whole = pillowResize(image, width, height, resample);
      const part = pillowResize(image, width, height, resample, window);
      for (let y = 0; y < window.height; y++) {
        const from = ((window.top + y) * width + window.left) * 3;
        const row = whole.subarray(from, from + window.width * 3);
        const bytes = window.width * 3;
        assert.deepEqual(part.subarray(y * bytes, (y + 1) * bytes), row);
      }
    }
  }
});

interface Facts {
  readonly sources: Record<string, { height: number; width: number; file?: string }>;
  readonly cases: readonly {
    readonly name: string;
    readonly source: string;
    readonly processor: { image_mean: number[]; image_std: number[] };
    readonly height: number;
    readonly width: number;
    readonly everyNthRow: number;
  }[];
}

function source({ height, width, file }: Facts["sources"][string] & object): RgbImage {
  if (file !== undefined) {
    return { width, height, data: gunzipSync(readFileSync(join(FIXTURES, file))) };
  }
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const c = i % 3;
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    data[i] = (x * 7 + y * 13 + c * 31) ^ ((x * y) >> 3);
  }
  return { width, height, data };
}

test("pixel values equal those of the model's own processor in transformers", async () => {
  const facts = JSON.parse(readFileSync(join(FIXTURES, "expected.json"), "utf8")) as Facts;
  const file = join(FIXTURES, "expected.safetensors");
  const header = await readSafetensorsHeader(file);
  const bytes = readFileSync(file);
  const tensor = (name: string) => {
    const entry = header.get(name);
    assert.ok(entry, name);
    return { ...entry, bytes: bytes.subarray(entry.offset, entry.offset + entry.length) };
  };
  assert.ok(facts.cases.length >= 15);
  for (const { name, source: from, processor, height, width, everyNthRow } of facts.cases) {
    const spec = parseImageProcessor(processor, "preprocessor_config.json", CLIP_PROCESSOR);
    const known = facts.sources[from];
    assert.ok(known);
    const { data, shape } = preprocess([source(known)], spec);
    assert.deepEqual(shape, [1, 3, height, width], name);
    // The fixture keeps the 8-bit picture before normalisation: [rows, width, 3].
    const picture = tensor(name).bytes;
    for (let i = 0; i < picture.length; i++) {
      const c = i % 3;
      const x = Math.floor(i / 3) % width;
      const y = Math.floor(i / 3 / width) * everyNthRow;
      const [mean, std] = [processor.image_mean[c] ?? 0, processor.image_std[c] ?? 1];
      const value = data[(c * height + y) * width + x] ?? Number.NaN;
      const expected = ((picture[i] ?? 0) / 255 - mean) / std;
      assert.ok(Math.abs(value - expected) < 2e-6, `${name}: ${value} at ${x},${y},${c}`);
    }
  }
  const whole = facts.cases.find(({ name }) => name === "tiny-to-64-other-mean");
  assert.ok(whole);
  const { bytes: raw } = tensor("tiny-to-64-other-mean.pixel_values");
  const values = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
  const tiny = facts.sources.tiny;
  assert.ok(tiny);
  const { data } = preprocess(
    [source(tiny)],
    parseImageProcessor(whole.processor, "", CLIP_PROCESSOR),
  );
  const rows = values.length / 3 / 64;
  for (const [i, value] of values.entries()) {
    const c = Math.floor(i / (rows * 64));
    const y = (Math.floor(i / 64) % rows) * 16;
    assert.equal(data[(c * 64 + y) * 64 + (i % 64)], value);
  }
});

const CONFIG = { image_processor_type: "CLIPImageProcessor", size: 8, crop_size: 8 };
const parse = (changes: object) =>
  parseImageProcessor({ ...CONFIG, ...changes }, "the file", CLIP_PROCESSOR);

test("what the file leaves out has the values of CLIPImageProcessor", () => {
  assert.deepEqual(parseImageProcessor({}, "the file", CLIP_PROCESSOR), {
    resize: [{ shortestEdge: 224 }],
    resample: "bicubic",
    crop: { width: 224, height: 224 },
    rescaleFactor: 1 / 255,
    normalize: {
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
    },
  });
});

test("sizes, switches and numbers are read in all their forms", () => {
  assert.deepEqual(parse({ size: { shortest_edge: 9 } }).resize, [{ shortestEdge: 9 }]);
  assert.deepEqual(parse({ size: { height: 9, width: 7 } }).resize, [{ height: 9, width: 7 }]);
  assert.deepEqual(parse({ crop_size: { height: 9, width: 7 } }).crop, { height: 9, width: 7 });
  assert.deepEqual(parse({ image_mean: 0.5 }).normalize?.mean, [0.5, 0.5, 0.5]);
  assert.equal(parse({ resample: 2 }).resample, "bilinear");
  const off = parse({
    do_resize: false,
    do_center_crop: false,
    do_rescale: false,
    do_normalize: false,
    feature_extractor_type: null,
    do_pad: true,
    image_grid_pinpoints: [[336, 672]],
    image_processor_type: "LlavaNextImageProcessor",
  });
  assert.deepEqual(off, {
    resize: [],
    resample: "bicubic",
    crop: null,
    rescaleFactor: null,
    normalize: null,
  });
  const { data } = preprocess([noise(2, 1)], off);
  const { data: bytes } = noise(2, 1);
  const [r0, g0, b0, r1, g1, b1] = bytes;
  assert.deepEqual([...data], [r0, r1, g0, g1, b0, b1]);
});

test("what is not supported is refused by key and value", () => {
  const refused = (changes: object, message: RegExp) =>
    assert.throws(
      () => parse(changes),
      (error) => error instanceof ModelError && message.test(error.message),
    );
  refused({ image_processor_type: "ViTHybrid" }, /the file: "image_processor_type" is "ViTHybrid"/);
  refused({ resample: 7 }, /"resample" is 7/);
  refused({ size: { longest_edge: 9 } }, /"size" is \{"longest_edge":9\}/);
  refused({ size: { shortest_edge: 9, longest_edge: 12 } }, /"size" is/);
  refused({ size: { shortest_edge: -1 } }, /"size\.shortest_edge" is -1/);
  refused({ crop_size: { height: 9 } }, /"crop_size\.width" is missing/);
  refused({ crop_size: 0 }, /"crop_size" is 0/);
  refused({ image_mean: [0.5, 0.5] }, /"image_mean" is \[0\.5,0\.5\]/);
  refused({ image_std: 0 }, /"image_std" is 0/);
  refused({ do_resize: "yes" }, /"do_resize" is "yes"/);
  refused({ do_sharpen: true }, /"do_sharpen" is true; this step is not supported/);
  refused({ image_processor_type: "LlavaImageProcessor", do_pad: true }, /"do_pad" is true/);
  assert.throws(
    () => parseImageProcessor([], "the file", CLIP_PROCESSOR),
    /the file: is not a JSON object/,
  );
});

test("the crop rectangle is the part of the frame that reaches the model", () => {
  const square = { width: 8, height: 8 };
  // 32 x 16 becomes 16 x 8, of which the middle 8 x 8 stay.
  assert.deepEqual(cropRectangle({ width: 32, height: 16 }, parse({})), {
    x: 8,
    y: 0,
    width: 16,
    height: 16,
  });
  // Stretched to 8 x 8: all of it.
  const stretched = parse({ size: square });
  assert.deepEqual(cropRectangle({ width: 32, height: 16 }, stretched), {
    x: 0,
    y: 0,
    width: 32,
    height: 16,
  });
  // 4 x 4 within a crop of 8 x 8: black borders of half a frame around it.
  const bordered = parse({ size: 4 });
  assert.deepEqual(cropRectangle({ width: 16, height: 16 }, bordered), {
    x: -8,
    y: -8,
    width: 32,
    height: 32,
  });
});

test("each frame is prepared by itself, and sizes that differ must come out the same", () => {
  const [wide, tall] = [noise(32, 16), noise(9, 20)];
  const both = preprocess([wide, tall], parse({}));
  assert.deepEqual(both.shape, [2, 3, 8, 8]);
  const alone = [wide, tall].flatMap((frame) => [...preprocess([frame], parse({})).data]);
  assert.deepEqual([...both.data], alone);
  assert.throws(
    () => preprocess([wide, tall], parse({ do_center_crop: false })),
    (error) => error instanceof InputError && /32 x 16 and 9 x 20 pixels/.test(error.message),
  );
  assert.throws(() => preprocess([], parse({})), InputError);
});
