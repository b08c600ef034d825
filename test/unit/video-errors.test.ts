import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CancelledError, InputError } from "../../src/common/errors.ts";
import { unreadable } from "../../src/video/file-errors.ts";
import { probeVideo, sampleFrames } from "../../src/video/sample-frames.ts";

const FOLDER = fileURLToPath(new URL("data/video/", import.meta.url));
const clip = (name: string) => join(FOLDER, name);
const scratch = mkdtempSync(join(tmpdir(), "video-errors-"));
after(() => rmSync(scratch, { recursive: true }));

function file(name: string, content: Uint8Array | string): string {
  const path = join(scratch, name);
  writeFileSync(path, content);
  return path;
}

/** Both ways in must refuse the path, with one line that begins with it. */
async function assertRefused(path: string, message: RegExp): Promise<void> {
  for (const attempt of [() => probeVideo(path), () => sampleFrames(path, { frames: 4 })]) {
    await assert.rejects(attempt, (error) => {
      assert.ok(error instanceof InputError, String(error));
      assert.ok(error.message.startsWith(`${path}`), error.message);
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  }
}

test("a path that leads to no readable file is refused with the reason", async () => {
  await assertRefused(join(scratch, "nothing.mp4"), /no such file/);
  await assertRefused(join(clip("h264.mp4"), "inside.mp4"), /no such file/);
  await assertRefused(file("empty.mp4", ""), /the file is empty/);
  const denied = Object.assign(new Error("denied"), { code: "EACCES" });
  assert.match(unreadable("/clips/a.mp4", denied).message, /^\/clips\/a\.mp4: no permission/);
  const locked = file("locked.mp4", readFileSync(clip("h264.mp4")));
  chmodSync(locked, 0o000);
  // The superuser and Windows may read it all the same.
  const readable = process.platform === "win32" || process.getuid?.() === 0;
  if (readable) assert.equal((await probeVideo(locked)).frameCount, 30);
  else await assertRefused(locked, /no permission to read it/);
});

test("a file that is no video is refused, whatever its name", async () => {
  await assertRefused(file("text.mp4", "This is a text.\n".repeat(400)), /not a video that can/);
  await assertRefused(file("noise.mkv", Buffer.alloc(5000, 0xa7)), /not a video that can be read/);
  const image = readFileSync(join(FOLDER, "images", "frame1.png"));
  await assertRefused(file("image.mp4", image), /not a video that can be read \(MP4/);
});

test("a playlist is no video: it could name other files and addresses", async () => {
  const list = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n${clip("h264.mp4")}\n#EXT-X-ENDLIST\n`;
  await assertRefused(file("list.mp4", list), /not a video that can be read/);
  file("inner.mp4", readFileSync(clip("h264.mp4")));
  const concat = "ffconcat version 1.0\nfile inner.mp4\n";
  await assertRefused(file("concat.mkv", concat), /not a video that can be read/);
});

test("a file without pictures is refused", async () => {
  await assertRefused(clip("sound-only.m4a"), /only sound in it \(aac\), no video/);
  await assertRefused(clip("no-frames.mp4"), /the video has no frames/);
});

test("a file that is cut off is refused, in every container", async () => {
  for (const name of ["h264.mp4", "h264.mov", "h264-fragments.mp4", "vp9.webm", "mpeg4.avi"]) {
    const bytes = readFileSync(clip(name));
    const cut = file(`cut-${name}`, bytes.subarray(0, Math.floor(bytes.length * 0.6)));
    await assertRefused(cut, /the file is cut off: at least \d+ bytes are missing|"moov"/);
  }
  const bytes = readFileSync(clip("h264.mp4"));
  const mdat = bytes.subarray(0, bytes.indexOf("moov") - 4);
  await assertRefused(file("no-moov.mp4", mdat), /the index of the video \("moov"\) is missing/);
  await assertRefused(file("head.mp4", bytes.subarray(0, 20)), /cut off/);
  await assertRefused(file("head.mkv", readFileSync(clip("vp9.webm")).subarray(0, 42)), /cut off/);
});

test("bytes after the end of a clip do no harm", async () => {
  for (const name of ["h264.mp4", "vp9.webm", "mpeg4.avi"]) {
    const padded = file(
      `padded-${name}`,
      Buffer.concat([readFileSync(clip(name)), Buffer.alloc(99)]),
    );
    assert.equal((await probeVideo(padded)).frameCount, 30);
  }
});

test("a recording without a length is read to its end, even when that is sudden", async () => {
  const bytes = readFileSync(clip("vp9-live.webm"));
  const cut = file("live.webm", bytes.subarray(0, bytes.length - 400));
  const { info, frames } = await sampleFrames(cut, { frames: 4 });
  assert.ok(info.frameCount > 15 && info.frameCount < 30, `${info.frameCount} frames`);
  assert.equal(frames.length, 4);
});

test("a folder without images, or with a damaged one, is refused", async () => {
  const empty = join(scratch, "empty");
  mkdirSync(empty);
  await assertRefused(empty, /the folder has no images in it \(PNG, JPEG, WebP or BMP\)/);
  writeFileSync(join(empty, "notes.txt"), "x");
  mkdirSync(join(empty, "a.png"));
  await assertRefused(empty, /the folder has no images in it/);
  for (const name of ["frame1.png", "frame2.jpg", "frame10.webp", "frame11.bmp"]) {
    const folder = join(scratch, `damaged-${name}`);
    mkdirSync(folder);
    const bytes = readFileSync(join(FOLDER, "images", name));
    writeFileSync(join(folder, name), bytes.subarray(0, Math.floor(bytes.length / 2)));
    await assertRefused(folder, /frame\d+\.\w+: the image is damaged or cut off/);
    writeFileSync(join(folder, name), "no image at all");
    await assertRefused(folder, /: not a PNG, JPEG, WebP or BMP image/);
  }
});

test("options that do not fit the clip are refused", async () => {
  const refused = (options: object, message: RegExp, path = clip("h264.mp4")) =>
    assert.rejects(
      sampleFrames(path, { frames: 4, ...options }),
      (error) => error instanceof InputError && message.test(error.message),
    );
  await refused({ start: 1, end: 0.5 }, /start \(1 s\) must be before end \(0\.5 s\)/);
  await refused({ start: 5, end: 6 }, /start \(5 s\) is beyond the end .* 1\.20 s long/);
  await refused({ frames: 0 }, /whole number from 1/);
  await refused({ start: 5 }, /beyond the end/, clip("mpeg4-b-frames.avi"));
  await refused({ start: 1 }, /this clip has none/, clip("images"));
  await refused({ fps: 0 }, /above 0, at most 1000, not 0/, clip("images"));
});

test("work stops when it is cancelled, before and in the middle", async () => {
  await assert.rejects(
    sampleFrames(clip("h264.mp4"), { frames: 4 }, AbortSignal.abort()),
    CancelledError,
  );
  const controller = new AbortController();
  // Many repeats of a clip that can only be decoded in order take long enough to be interrupted.
  const work = (async () => {
    for (;;) await probeVideo(clip("mpeg4-b-frames.avi"), controller.signal);
  })();
  setTimeout(() => controller.abort(), 30);
  await assert.rejects(work, CancelledError);
});
