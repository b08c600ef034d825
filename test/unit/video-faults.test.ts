import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { InputError } from "../../src/common/errors.ts";
import { readPicture } from "../../src/video/picture-file.ts";
import { sampleFrames } from "../../src/video/sample-frames.ts";
import type { SampledVideo } from "../../src/video/types.ts";
import { assertPicture, type Measured } from "../support/measured.ts";

const CLIPS = fileURLToPath(new URL("data/video/", import.meta.url));
const FAULTS = fileURLToPath(new URL("data/video-faults/", import.meta.url));

/** Measured by PyAV and Pillow (data/make_faults.py). */
const EXPECTED = JSON.parse(readFileSync(join(FAULTS, "faults.json"), "utf8")) as {
  readonly clips: Record<string, { readonly frames: readonly SizedPicture[] }>;
  readonly images: Record<string, SizedPicture>;
};
type SizedPicture = Measured & { readonly size: readonly number[] };

const scratch = mkdtempSync(join(tmpdir(), "video-faults-"));
after(() => rmSync(scratch, { recursive: true }));

/** A changed copy of a clip. */
function changed(name: string, change: (bytes: Buffer) => Uint8Array, folder = CLIPS): string {
  const path = join(scratch, name);
  writeFileSync(path, change(Buffer.from(readFileSync(join(folder, name)))));
  return path;
}

const indicesOf = ({ frames }: SampledVideo) => frames.map(({ index }) => index);

describe("unusual clips", () => {
  for (const [name, { frames: expected }] of Object.entries(EXPECTED.clips)) {
    test(`${name} has PyAV's pixels`, async () => {
      const { info, frames, remarks } = await sampleFrames(join(FAULTS, name), {
        frames: expected.length,
        rule: (total) => Array.from({ length: total }, (_, i) => i),
      });
      assert.equal(info.frameCount, expected.length);
      for (const [i, frame] of frames.entries()) {
        const picture = expected[i];
        assert.ok(picture);
        assert.deepEqual([frame.width, frame.height], picture.size);
        // A palette's colours are exact.
        assertPicture(frame, picture, name.startsWith("palette") ? 0 : 2, `frame ${i}`);
      }
      if (!(name in TRACKS)) assert.deepEqual(remarks, []);
    });
  }

  for (const name of ["palette.avi", "palette.mov", "palettes.avi"]) {
    test(`${name} has its palette in single frames`, async () => {
      const { frames } = await sampleFrames(join(FAULTS, name), { frames: 1, rule: () => [7] });
      const picture = EXPECTED.clips[name]?.frames[7];
      assert.ok(frames[0] !== undefined && picture !== undefined);
      assertPicture(frames[0], picture, 0, "frame 7");
    });
  }

  const TRACKS: Record<string, RegExp> = {
    "still-first.mp4": /has 2 video tracks; number 2 is used \(64 x 48, h264\)/,
    "second-default.mkv": /has 2 video tracks; number 2 is used \(64 x 48, h264\)/,
  };
  for (const [name, remark] of Object.entries(TRACKS)) {
    test(`${name}: a player's track is taken and named`, async () => {
      const { info, remarks } = await sampleFrames(join(FAULTS, name), { frames: 2 });
      assert.deepEqual([info.width, info.height, info.frameCount], [64, 48, 12]);
      assert.equal(remarks.length, 1);
      assert.match(remarks[0] ?? "", remark);
    });
  }
});

describe("stills", () => {
  for (const [name, expected] of Object.entries(EXPECTED.images)) {
    test(`${name} has Pillow's pixels`, async () => {
      const picture = await readPicture(join(FAULTS, name));
      assert.deepEqual([picture.width, picture.height], expected.size);
      assertPicture(picture, expected, name.includes("lossless") ? 0 : 4, name);
    });
  }

  test("a picture that is too large says so", async () => {
    const headers: [name: string, bytes: Buffer][] = [
      ["large.png", png(20_000, 20_000)],
      ["large.jpg", jpeg(40_000, 40_000)],
      ["large.bmp", bmp(20_000, 20_000)],
      ["large.webp", canvas(16_384, 16_384)],
    ];
    for (const [name, bytes] of headers) {
      const path = join(scratch, name);
      writeFileSync(path, bytes);
      await assert.rejects(readPicture(path), (error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, /too large: \d+ x \d+ pixels; at most 16384 x 8192/);
        return true;
      });
    }
  });

  test("a clip whose pictures are too large says so", async () => {
    const path = changed("gif.gif", (bytes) => {
      bytes.writeUInt16LE(20_000, 6);
      bytes.writeUInt16LE(20_000, 8);
      return bytes;
    });
    await assert.rejects(sampleFrames(path, { frames: 2 }), /too large: 20000 x 20000 pixels/);
  });

  test("an animation cut off in its first picture is damaged", async () => {
    const path = changed("animated-lossy.webp", (bytes) => bytes.subarray(0, 600), FAULTS);
    await assert.rejects(readPicture(path), /damaged or cut off/);
  });
});

/** Files that have all frames, with a slip of their writer or something after them. */
const WHOLE: Record<string, readonly [clip: string, change: (bytes: Buffer) => Uint8Array]> = {
  "a RIFF length that is the file's": [
    "mpeg4.avi",
    (bytes) => {
      bytes.writeUInt32LE(bytes.length, 4);
      return bytes;
    },
  ],
  "a newline after an MP4": ["h264.mp4", (bytes) => Buffer.concat([bytes, Buffer.from("\n")])],
  "four zeros after an MP4": ["h264.mp4", (bytes) => Buffer.concat([bytes, Buffer.alloc(4)])],
  "a tag after an MP4": [
    "h264.mp4",
    (bytes) => Buffer.concat([bytes, Buffer.from(`TAGtitle${" ".repeat(120)}`)]),
  ],
  "an mdat too long by 8": [
    "h264.mp4",
    (bytes) => {
      const at = bytes.indexOf("mdat") - 4;
      bytes.writeUInt32BE(bytes.readUInt32BE(at) + 8, at);
      return bytes;
    },
  ],
  "an index cut in its tags": ["h264.mp4", (bytes) => bytes.subarray(0, bytes.length - 1)],
  "a Segment too long by 8": [
    "h264-open-gop.mkv",
    (bytes) => {
      const at = bytes.indexOf(Buffer.from([0x18, 0x53, 0x80, 0x67])) + 8;
      bytes.writeUInt32BE(bytes.readUInt32BE(at) + 8, at);
      return bytes;
    },
  ],
  "a Matroska file cut in its index": [
    "h264-open-gop.mkv",
    (bytes) => bytes.subarray(0, bytes.length - 8),
  ],
  "a GIF without its end mark": ["gif.gif", (bytes) => bytes.subarray(0, bytes.length - 1)],
};

describe("whole files with a slip", () => {
  for (const [what, [clip, change]] of Object.entries(WHOLE)) {
    test(`${what} is read`, async () => {
      const path = changed(clip, change);
      // An mdat that is too long swallows what follows, which only an index before it can do without.
      if (what.startsWith("an mdat")) writeFileSync(path, indexFirst(readFileSync(path)));
      const [found, intact] = [
        await sampleFrames(path, { frames: 4 }),
        await sampleFrames(join(CLIPS, clip), { frames: 4 }),
      ];
      assert.deepEqual(found.remarks, []);
      assert.deepEqual(found.frames, intact.frames);
    });
  }
});

/** The same MP4 with its index before its frames, whose places move by the index's length. */
function indexFirst(bytes: Buffer): Buffer {
  const at = bytes.indexOf("moov") - 4;
  const length = bytes.readUInt32BE(at);
  const index = Buffer.from(bytes.subarray(at, at + length));
  const first = bytes.readUInt32BE(0);
  for (let place = index.indexOf("stco"); place > 0; place = index.indexOf("stco", place + 4)) {
    const count = index.readUInt32BE(place + 8);
    for (let i = 0; i < count; i++) {
      const entry = place + 12 + 4 * i;
      index.writeUInt32BE(index.readUInt32BE(entry) + length, entry);
    }
  }
  return Buffer.concat([bytes.subarray(0, first), index, bytes.subarray(first, at)]);
}

const zeroTail = (bytes: Buffer) => bytes.fill(0, Math.floor(bytes.length * 0.8));
const overwritten = (bytes: Buffer) => {
  const from = bytes.length >> 1;
  for (let i = 0; i < Math.min(3000, bytes.length / 10); i++) bytes[from + i] = (i * 37 + 11) % 256;
  return bytes;
};

describe("damaged files", () => {
  test("frames that cannot be decoded are refused, not replaced", async () => {
    for (const change of [zeroTail, overwritten]) {
      const path = changed("h264.mp4", (bytes) => change(indexFirst(bytes)));
      await assert.rejects(
        sampleFrames(path, { frames: 30 }),
        (error) =>
          error instanceof InputError &&
          /frame \d+ of 30 is to be used and cannot be decoded; the video is damaged/.test(
            error.message,
          ),
      );
      // Frames before the damage are what they were.
      const [found, intact] = [
        await sampleFrames(path, { frames: 1, rule: () => [0] }),
        await sampleFrames(join(CLIPS, "h264.mp4"), { frames: 1, rule: () => [0] }),
      ];
      assert.deepEqual(found.frames, intact.frames);
    }
  });

  for (const name of [
    "mpeg4.avi",
    "mpeg4-b-frames.avi",
    "h264.avi",
    "h264-open-gop.mkv",
    "vp9.webm",
    "gif.gif",
  ]) {
    test(`${name} with a tail of zeros is remarked on`, async () => {
      const path = changed(name, zeroTail);
      const { remarks } = await sampleFrames(path, { frames: 4 });
      assert.match(remarks.join(), /the file says that|cannot be read/);
    });
  }

  for (const name of ["mpeg4.avi", "h264-open-gop.mkv", "vp8-hidden-frames.webm", "gif.gif"]) {
    test(`${name} with other bytes in it is remarked on`, async () => {
      const path = changed(name, overwritten);
      const { remarks } = await sampleFrames(path, {
        frames: 4,
        rule: (total) => Array.from({ length: total }, (_, i) => i),
      });
      assert.match(remarks.join(), /damaged: .*(packet|frame|place)|the file says that/);
    });
  }

  test("frames that may show damage are named", async () => {
    const path = changed("mpeg4.avi", overwritten);
    const { frames, remarks } = await sampleFrames(path, {
      frames: 4,
      rule: (total) => Array.from({ length: total }, (_, i) => i),
    });
    const intact = await sampleFrames(join(CLIPS, "mpeg4.avi"), { frames: 30 });
    const named = /of the frames used, ([\d, ]+)/.exec(remarks.join())?.[1] ?? "";
    const first = frames.findIndex(({ data }, i) => {
      return Buffer.compare(data, intact.frames[i]?.data ?? Buffer.alloc(0)) !== 0;
    });
    assert.ok(named.split(", ").map(Number).includes(first), `${first} is not in ${named}`);
  });
});

describe("parts of clips", () => {
  test("frames outside of the part asked for are remarked on", async () => {
    const path = join(CLIPS, "h264-rates-vary.mp4");
    const part = await sampleFrames(path, { frames: 8, start: 1, end: 1.5 });
    const times = part.frames.map(({ timestampSeconds }) => timestampSeconds?.toFixed(2));
    assert.deepEqual([times[0], times[7]], ["0.96", "1.56"]);
    assert.match(
      part.remarks.join(),
      /^2 of the 8 frames chosen lie outside of the part asked for \(from 1 s to 1\.5 s\)/,
    );
    // The choice itself is the reference's: by the average rate.
    assert.deepEqual(indicesOf(part), [16, 17, 18, 19, 20, 21, 22, 23]);
    const whole = await sampleFrames(path, { frames: 8 });
    assert.deepEqual(whole.remarks, []);
    const steady = await sampleFrames(join(CLIPS, "h264.mp4"), { frames: 8, start: 0.2, end: 0.9 });
    assert.deepEqual(steady.remarks, []);
  });

  test("a rate given for a video file is not used, and that is said", async () => {
    const path = join(CLIPS, "h264.mp4");
    const part = { frames: 4, start: 0.2, end: 0.9 };
    const [own, given] = [
      await sampleFrames(path, part),
      await sampleFrames(path, { ...part, fps: 3 }),
    ];
    assert.deepEqual(indicesOf(given), indicesOf(own));
    assert.match(given.remarks.join(), /given, 3, are not used: the file has its own rate, 25/);
    assert.deepEqual((await sampleFrames(path, { ...part, fps: 25 })).remarks, []);
  });

  test("seconds of a folder count its images from 1", async () => {
    const folder = join(scratch, "numbered");
    mkdirSync(folder);
    const image = readFileSync(join(FAULTS, "444-63x47.jpg"));
    for (let i = 1; i <= 20; i++) {
      writeFileSync(join(folder, `${String(i).padStart(5, "0")}.jpg`), image);
    }
    // The reference's read_frame: get_index with first_idx 1 and as many files as there are, then
    // "%05d.jpg". Computed with it for 4 frames, at 3 a second.
    const files: [start: number, end: number, numbers: number[]][] = [
      [0.5, 2.5, [2, 4, 5, 6]],
      [0, 2, [1, 2, 3, 5]],
      [1, 100, [5, 9, 13, 18]],
      [0, 100, [3, 8, 13, 17]],
    ];
    for (const [start, end, numbers] of files) {
      const part = await sampleFrames(folder, { frames: 4, start, end, fps: 3 });
      assert.deepEqual(
        indicesOf(part).map((index) => index + 1),
        numbers,
        `${start} to ${end} s`,
      );
    }
  });
});

function png(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1");
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
}

function jpeg(width: number, height: number): Buffer {
  const bytes = Buffer.from([
    0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc0, 0, 17, 8, 0, 0, 0, 0, 3,
  ]);
  bytes.writeUInt16BE(height, 13);
  bytes.writeUInt16BE(width, 15);
  return bytes;
}

function bmp(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write("BM", "latin1");
  bytes.writeUInt32LE(width, 18);
  bytes.writeInt32LE(-height, 22);
  return bytes;
}

function canvas(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write("RIFF\x38\0\0\0WEBPVP8X\n\0\0\0", "latin1");
  bytes.writeUIntLE(width - 1, 24, 3);
  bytes.writeUIntLE(height - 1, 27, 3);
  return bytes;
}
