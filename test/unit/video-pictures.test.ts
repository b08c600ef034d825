import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { encodePicture } from "../../src/video/pictures.ts";
import { sampleFrames } from "../../src/video/sample-frames.ts";
import type { RgbImage } from "../../src/video/types.ts";

/** A ramp in every channel, so that no two neighbours are alike. */
function ramp(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    data.set([(i * 7) % 256, (i % width) * 5, Math.floor(i / width) * 3], i * 3);
  }
  return { width, height, data };
}

describe("pictures of frames", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "flowprobe-pictures-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Decodes a picture with FFmpeg, which knows nothing of the encoder. */
  async function decoded(png: Uint8Array): Promise<RgbImage> {
    writeFileSync(join(folder, "frame.png"), png);
    const { frames } = await sampleFrames(folder, { frames: 1 });
    return frames[0] as RgbImage;
  }

  test("a small frame comes back as it was, byte for byte", async () => {
    const image = ramp(33, 21);
    const back = await decoded(encodePicture(image, 160));
    assert.deepEqual([back.width, back.height], [33, 21]);
    assert.deepEqual(Buffer.from(back.data), Buffer.from(image.data));
  });

  test("a large frame is scaled to the longer side, in its shape and its colours", async () => {
    const image = { width: 400, height: 200, data: new Uint8Array(400 * 200 * 3) };
    for (let i = 0; i < 400 * 200; i++)
      image.data.set(i % 400 < 200 ? [250, 10, 20] : [0, 90, 200], i * 3);
    const back = await decoded(encodePicture(image, 160));
    assert.deepEqual([back.width, back.height], [160, 80]);
    assert.deepEqual([...back.data.subarray(0, 3)], [250, 10, 20]);
    assert.deepEqual([...back.data.subarray(159 * 3, 160 * 3)], [0, 90, 200]);
  });
});
