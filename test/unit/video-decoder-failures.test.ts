import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { InputError } from "../../src/common/errors.ts";
import { DecoderInstance } from "../../src/video/decoder-module.ts";
import { MediaInput } from "../../src/video/ffmpeg.ts";
import { encodePicture } from "../../src/video/pictures.ts";
import { probeVideo } from "../../src/video/sample-frames.ts";

const CLIP = fileURLToPath(new URL("data/video/h264.mp4", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "video-decoder-"));
after(() => rmSync(scratch, { recursive: true }));

/** One line that begins with the file's path. */
function refusal(path: string, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof InputError, String(error));
    assert.ok(error.message.startsWith(`${path}: `), error.message);
    assert.ok(!error.message.includes("\n"));
    assert.match(error.message, message);
    return true;
  };
}

/** A picture of one colour: a small file that takes `side * side * 3` bytes when it is decoded. */
function largePicture(side: number): string {
  const path = join(scratch, `large-${side}.png`);
  const data = new Uint8Array(side * side * 3);
  writeFileSync(path, encodePicture({ width: side, height: side, data }, side));
  return path;
}

async function decodePicture(path: string, limitBytes?: number) {
  const input = await MediaInput.open(path, { only: "png_pipe" }, limitBytes);
  assert.ok(input);
  try {
    assert.ok(input.stream());
    assert.ok(input.nextPacket());
    input.openDecoder("still");
    for (const frame of input.decode("packet")) return frame.rgb();
    return null;
  } finally {
    input.close();
  }
}

test("a picture that needs more memory than the decoder may take is refused by name", async () => {
  const path = largePicture(3000);
  const decoded = await decodePicture(path);
  assert.deepEqual([decoded?.width, decoded?.height], [3000, 3000]);
  await assert.rejects(
    decodePicture(path, 32 << 20),
    refusal(path, /needs more than 32 MiB of memory/),
  );
});

test("a decoder that fails names the file, and is not used any further", async () => {
  const bytes = readFileSync(CLIP);
  const read = (into: Uint8Array, position: number) =>
    bytes.copy(into, 0, position, position + into.length);
  const decoder = await DecoderInstance.create(CLIP, { size: bytes.length, read });
  // An address beyond the end of its memory: WebAssembly traps.
  assert.throws(
    () => decoder.call("fp_stream", -8),
    refusal(CLIP, /the video decoder failed on it/),
  );
  assert.throws(() => decoder.call("malloc", 8), refusal(CLIP, /closed, or not decodable/));
  assert.equal((await probeVideo(CLIP)).frameCount, 30);
});

test("a file that cannot be read to its end is refused with the system's reason", async () => {
  const bytes = readFileSync(CLIP);
  const attempt = async (readable: number) => {
    const read = (into: Uint8Array, position: number) => {
      if (position >= readable) throw Object.assign(new Error("i/o error"), { code: "EIO" });
      return bytes.copy(into, 0, position, Math.min(position + into.length, readable));
    };
    const decoder = await DecoderInstance.create(CLIP, { size: bytes.length, read });
    const [any, only] = [decoder.place("mov"), decoder.place("")];
    const input = decoder.call("fp_open", bytes.length, any, only);
    let packets = 0;
    while (decoder.call("fp_next_packet", input) !== 0) packets += 1;
    return packets;
  };
  assert.equal(await attempt(bytes.length), 30);
  for (const readable of [0, bytes.length >> 1, bytes.length - 1]) {
    await assert.rejects(attempt(readable), refusal(CLIP, /cannot be read \(EIO\)/));
  }
});
