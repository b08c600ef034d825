import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { VideoFile } from "../../src/video/video-file.ts";

/** Pixels of the frames by their times, and how many packets were left out on the way. */
async function decode(name: string, leaveOut: boolean) {
  const file = await VideoFile.open(fileURLToPath(new URL(`data/video/${name}`, import.meta.url)));
  const frames = new Map<number | null, Uint8Array>();
  const leftOut = new Set<number | null>();
  try {
    const isNeeded = ({ disposable, pts }: { disposable: boolean; pts: number | null }) => {
      if (leaveOut && disposable) leftOut.add(pts);
      return !leftOut.has(pts);
    };
    for await (const frame of file.decode(() => undefined, isNeeded)) {
      frames.set(frame.pts, frame.rgb().data);
    }
    return { frames, leftOut };
  } finally {
    file.close();
  }
}

for (const name of [
  "h264.mp4",
  "h264-open-gop.mkv",
  "h264-interlaced.mkv",
  "h264-rates-vary.mp4",
]) {
  test(`${name}: without its disposable packets, all other frames are the same`, async () => {
    const [whole, rest] = [await decode(name, false), await decode(name, true)];
    assert.ok(rest.leftOut.size > 0);
    assert.equal(rest.frames.size, whole.frames.size - rest.leftOut.size);
    for (const [pts, pixels] of rest.frames) {
      assert.ok(!rest.leftOut.has(pts));
      assert.equal(Buffer.compare(pixels, whole.frames.get(pts) ?? Buffer.alloc(0)), 0, `${pts}`);
    }
  });
}

test("packets of other codecs are never called disposable", async () => {
  for (const name of [
    "vp9.webm",
    "hevc-open-gop.mkv",
    "av1.mp4",
    "mpeg4-b-frames.avi",
    "h264.avi",
  ]) {
    assert.equal((await decode(name, true)).leftOut.size, 0, name);
  }
});
