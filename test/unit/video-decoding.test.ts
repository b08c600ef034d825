import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { clipFrames } from "../../src/video/clip-frames.ts";
import { frameIndices } from "../../src/video/frame-indices.ts";
import { type Orientation, upright } from "../../src/video/orientation.ts";
import { probeVideo, sampleEach, sampleFrames } from "../../src/video/sample-frames.ts";
import type { RgbFrame } from "../../src/video/types.ts";
import { VideoFile } from "../../src/video/video-file.ts";
import { assertPicture, type Measured } from "../support/measured.ts";

const FOLDER = fileURLToPath(new URL("data/video/", import.meta.url));

/** Measured by PyAV, ffmpeg and Pillow (data/make_clips.py). */
interface Expected {
  readonly clips: Record<
    string,
    {
      readonly width: number;
      readonly height: number;
      readonly fps: number;
      readonly frames: readonly (Measured & { readonly seconds: number })[];
    }
  >;
  readonly images: Record<string, Measured & { readonly size: readonly number[] }>;
}
const EXPECTED = JSON.parse(readFileSync(join(FOLDER, "clips.json"), "utf8")) as Expected;

/** What the file name does not tell. */
const DESCRIPTIONS: Record<string, readonly [codec: string, container: string]> = {
  "av1.mp4": ["av1", "mp4"],
  "gif.gif": ["gif", "gif"],
  "h264.avi": ["h264", "avi"],
  "h264.mov": ["h264", "mov"],
  "h264.mp4": ["h264", "mp4"],
  "hevc-open-gop.mkv": ["hevc", "mkv"],
  "mpeg4-b-frames.avi": ["mpeg4", "avi"],
  "vp8-hidden-frames.webm": ["vp8", "webm"],
  "vp9-live.webm": ["vp9", "webm"],
};

for (const [name, clip] of Object.entries(EXPECTED.clips)) {
  const path = join(FOLDER, name);
  const count = clip.frames.length;

  test(`${name}: every frame has the pixels and the time an independent decoder gives`, async () => {
    const info = await probeVideo(path);
    assert.equal(info.frameCount, count);
    assert.deepEqual([info.width, info.height], [clip.width, clip.height]);
    assert.ok(Math.abs((info.fps ?? 0) - clip.fps) < 1e-6, `${info.fps} frames per second`);
    assert.ok(Math.abs((info.durationSeconds ?? 0) - count / clip.fps) < 1e-6);
    const described = DESCRIPTIONS[name];
    if (described !== undefined) assert.deepEqual([info.codec, info.container], described);
    const { frames, remarks } = await read(path, [...clip.frames.keys()]);
    assert.deepEqual(remarks, []);
    for (const [index, expected] of clip.frames.entries()) {
      const frame = frames.get(index);
      assert.ok(frame);
      assert.equal(frame.index, index);
      assert.deepEqual([frame.width, frame.height], [clip.width, clip.height]);
      const late = Math.abs((frame.timestampSeconds ?? -1) - expected.seconds);
      assert.ok(late < 1e-3, `frame ${index} is shown at ${frame.timestampSeconds}`);
      assertPicture(frame, expected, 2, `frame ${index}`);
    }
    const sampled = await sampleFrames(path, { frames: 4 });
    assert.deepEqual(sampled.info, info);
    const indices = sampled.frames.map(({ index }) => index);
    assert.deepEqual(indices, frameIndices(count, null, 4));
    for (const frame of sampled.frames) assert.deepEqual(frame, frames.get(frame.index));
  });

  test(`${name}: seeking and decoding from the beginning pick the same frames`, async () => {
    const scattered = [0, 1, count - 1, count >> 1, (count >> 1) + 1, count - 7, 9];
    for (const wanted of [[count - 1], [count >> 1], scattered, [...clip.frames.keys()]]) {
      const [sought, inOrder] = await Promise.all([read(path, wanted), read(path, wanted, true)]);
      assert.equal(inOrder.sought, false);
      assert.equal(sought.sought, !ONLY_IN_ORDER.has(name));
      assert.equal(sought.frameCount, inOrder.frameCount);
      assert.deepEqual([...sought.frames.keys()].sort(), [...new Set(wanted)].sort());
      for (const [index, frame] of sought.frames) {
        const same = inOrder.frames.get(index);
        assert.ok(same);
        assert.equal(Buffer.compare(frame.data, same.data), 0, `frame ${index} differs`);
        assert.equal(frame.timestampSeconds, same.timestampSeconds);
      }
    }
  });
}

/** Clips whose packets do not tell the order of their frames. */
const ONLY_IN_ORDER = new Set([
  "gif.gif",
  "h264.avi",
  "mpeg4-b-frames.avi",
  "h264-no-first-key.mkv",
]);

async function read(path: string, wanted: readonly number[], inOrder = false) {
  const file = await VideoFile.open(path);
  try {
    const choice = { choose: () => wanted, keep: (frame: RgbFrame) => frame };
    return await clipFrames(file, choice, undefined, { inOrder });
  } finally {
    file.close();
  }
}

test("each chosen frame is handed over once, as it is decoded", async () => {
  const path = join(FOLDER, "h264.mp4");
  const whole = await sampleFrames(path, { frames: 40 });
  const seen: number[] = [];
  const kept = await sampleEach(path, { frames: 40 }, (count) => (frame) => {
    if (count > 0) seen.push(frame.index);
    return frame.data.reduce((sum, value) => sum + value, 0);
  });
  assert.deepEqual(seen, [...new Set(whole.frames.map(({ index }) => index))]);
  const sums = whole.frames.map(({ data }) => data.reduce((sum, value) => sum + value, 0));
  assert.deepEqual(kept.frames, sums);
});

test("a part of the clip is sampled inside its bounds, and a short part repeats frames", async () => {
  const path = join(FOLDER, "h264.mp4");
  const part = await sampleFrames(path, { frames: 4, start: 0.4, end: 0.8 });
  assert.deepEqual(
    part.frames.map(({ index }) => index),
    [11, 13, 16, 19],
  );
  const short = await sampleFrames(path, { frames: 4, start: 0.4, end: 0.48 });
  assert.deepEqual(
    short.frames.map(({ index }) => index),
    [10, 10, 11, 12],
  );
  assert.equal(short.frames[0], short.frames[1]);
});

test("images of a folder come in natural order, each in its own size, upright", async () => {
  const folder = join(FOLDER, "images");
  const names = ["frame1.png", "frame2.jpg", "frame3.jpeg", "frame10.webp"];
  names.push("frame11.bmp", "frame12.PNG", "frame20.jpg");
  const { info, frames } = await sampleFrames(folder, { frames: names.length });
  assert.deepEqual(
    { ...info, path: "" },
    {
      path: "",
      width: 65,
      height: 48,
      frameCount: 7,
      fps: null,
      durationSeconds: null,
      codec: "png",
      container: "folder",
    },
  );
  for (const frame of frames) {
    const name = names[frame.index] ?? "";
    const expected = EXPECTED.images[name];
    assert.ok(expected);
    assert.deepEqual([frame.width, frame.height], expected.size, name);
    assert.equal(frame.timestampSeconds, null);
    // JPEG and WebP decoders round differently, by 3 levels at most.
    assertPicture(frame, expected, /jpe?g|webp/.test(name) ? 3 : 0, name);
  }
  assert.deepEqual(await probeVideo(folder), info);
});

test("a folder of images has a part by seconds once its frame rate is given", async () => {
  const folder = join(FOLDER, "images");
  const { info, frames } = await sampleFrames(folder, { frames: 2, start: 1, end: 3, fps: 2 });
  assert.deepEqual([info.fps, info.durationSeconds], [2, 3.5]);
  assert.deepEqual(
    frames.map(({ index, timestampSeconds }) => [index, timestampSeconds]),
    [
      [2, 1],
      [4, 2],
    ],
  );
});

test("turning a picture twice by its inverse gives the picture back", () => {
  const data = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => i);
  const picture = { width: 5, height: 3, data };
  for (const flipX of [false, true]) {
    for (const flipY of [false, true]) {
      const flip: Orientation = { transpose: false, flipX, flipY };
      assert.deepEqual(upright(upright(picture, flip), flip), picture);
      const turn: Orientation = { transpose: true, flipX, flipY };
      const back: Orientation = { transpose: true, flipX: flipY, flipY: flipX };
      const turned = upright(picture, turn);
      assert.deepEqual([turned.width, turned.height], [3, 5]);
      assert.deepEqual(upright(turned, back), picture);
    }
  }
});
