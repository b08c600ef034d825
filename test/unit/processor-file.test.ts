import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import { INTERNVL_PROCESSOR } from "../../src/engine/families/internvl/processor.ts";
import { LLAVA_NEXT_VIDEO_PROCESSOR } from "../../src/engine/families/llava-next-video/processor.ts";
import { LLAVA_ONEVISION_PROCESSOR } from "../../src/engine/families/llava-onevision/processor.ts";
import { CLIP_PROCESSOR } from "../../src/engine/families/shared/clip-processor.ts";
import { SMOLVLM_PROCESSOR } from "../../src/engine/families/smolvlm/processor.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import { cropRectangle } from "../../src/video/preprocess.ts";
import { readFrameProcessor } from "../../src/video/processor-file.ts";

const square = (side: number) => ({ width: side, height: side });

describe("the file that says how frames are prepared", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "flowprobe-processor-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const put = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), JSON.stringify(value));
  const resizes = async () => (await readFrameProcessor(folder, LLAVA_ONEVISION_PROCESSOR)).resize;

  test("is the nested one, else the video processor's, else the stills'", async () => {
    await assert.rejects(resizes(), /preprocessor_config\.json: is missing/);
    put("preprocessor_config.json", { size: square(10) });
    assert.deepEqual(await resizes(), [square(10)]);
    put("video_preprocessor_config.json", { size: square(20) });
    assert.deepEqual(await resizes(), [square(20)]);
    put("processor_config.json", { processor_class: "LlavaOnevisionProcessor" });
    assert.deepEqual(await resizes(), [square(20)]);
    put("processor_config.json", { video_processor: { size: square(30) } });
    assert.deepEqual(await resizes(), [square(30)]);
  });

  test("names itself and its part in a refusal", async () => {
    put("processor_config.json", { video_processor: { video_processor_type: "Another" } });
    await assert.rejects(resizes(), (error: unknown) => {
      assert.ok(error instanceof ModelError);
      assert.match(
        error.message,
        /processor_config\.json, video_processor: "video_processor_type"/,
      );
      return true;
    });
  });

  test("for CLIP's image processor is the stills', else the nested one", async () => {
    put("processor_config.json", { image_processor: { size: 40, crop_size: 30 } });
    assert.deepEqual((await readFrameProcessor(folder, CLIP_PROCESSOR)).crop, square(30));
    put("preprocessor_config.json", { size: 40, crop_size: 20 });
    assert.deepEqual((await readFrameProcessor(folder, CLIP_PROCESSOR)).crop, square(20));
  });
});

test("each class's own values stand where a file is silent", () => {
  const onevision = parseImageProcessor({}, "file", LLAVA_ONEVISION_PROCESSOR);
  assert.deepEqual(onevision.resize, [square(384)]);
  assert.equal(onevision.crop, null);
  const nextVideo = parseImageProcessor({}, "file", LLAVA_NEXT_VIDEO_PROCESSOR);
  assert.deepEqual(nextVideo.resize, [{ shortestEdge: 224 }]);
  assert.deepEqual(nextVideo.crop, square(224));
  const smol = parseImageProcessor({}, "file", SMOLVLM_PROCESSOR);
  assert.deepEqual(smol.resize, [{ longestEdge: 1456 }, square(364)]);
  assert.equal(smol.resample, "lanczos");
  assert.deepEqual(smol.normalize?.mean, [0.5, 0.5, 0.5]);
});

test("SmolVLM's video size is used only where the size of stills is not given", () => {
  const video_sampling = { fps: 1, max_frames: 8, video_size: { longest_edge: 512 } };
  const parse = (json: object) => parseImageProcessor(json, "file", SMOLVLM_PROCESSOR).resize[0];
  assert.deepEqual(parse({ video_sampling }), { longestEdge: 512 });
  assert.deepEqual(parse({ video_sampling, size: { longest_edge: 2048 } }), { longestEdge: 2048 });
});

test("a frame squeezed into a square is seen whole", () => {
  const smol = parseImageProcessor({}, "file", SMOLVLM_PROCESSOR);
  const seen = cropRectangle({ width: 640, height: 361 }, smol);
  assert.deepEqual(seen, { x: 0, y: 0, width: 640, height: 361 });
});

test("a step that is not known is refused with its key, a switch that is off is not", () => {
  assert.throws(
    () => parseImageProcessor({ do_flip: true }, "file", INTERNVL_PROCESSOR),
    /"do_flip" is true; this step/,
  );
  parseImageProcessor({ do_flip: false, do_pad: null }, "file", INTERNVL_PROCESSOR);
});
