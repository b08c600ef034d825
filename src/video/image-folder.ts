import { open, readdir } from "node:fs/promises";
import { extname, join } from "node:path";
import { InputError } from "../common/errors.ts";
import { MediaInput } from "./ffmpeg.ts";
import { unreadable } from "./file-errors.ts";
import { frameIndices } from "./frame-indices.ts";
import { orientationOf, upright } from "./orientation.ts";
import { pacer } from "./pacer.ts";
import type { RgbFrame, RgbImage, SampledVideo, SampleOptions, VideoInfo } from "./types.ts";

const EXTENSIONS = new Set([".png", ".jpg", ".jpeg", ".webp", ".bmp"]);
/** frame2 before frame10. */
const NATURAL = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Describes a folder of images, its frames in the natural order of their names. @throws InputError */
export async function probeFolder(folder: string): Promise<VideoInfo> {
  const files = await imagesIn(folder);
  return describe(folder, files, await readImage(firstOf(files)), undefined);
}

/**
 * Decodes the chosen images of a folder. They may differ in size: each is prepared for the model by
 * itself. `start` and `end` need the frames per second.
 *
 * @throws InputError, CancelledError as `sampleFrames`
 */
export async function sampleFolder(
  folder: string,
  { frames: wanted, start, end, fps, rule }: SampleOptions,
  signal: AbortSignal | undefined,
): Promise<SampledVideo> {
  if (fps !== undefined && !(Number.isFinite(fps) && fps > 0)) {
    throw new InputError(`the frames per second must be a number above 0, not ${fps}`);
  }
  const files = await imagesIn(folder);
  const indices =
    rule === undefined
      ? frameIndices(files.length, fps ?? null, wanted, start, end)
      : rule(files.length, fps ?? null, start, end);
  const pace = pacer(signal);
  const decoded = new Map<number, RgbFrame>();
  for (const index of new Set(indices)) {
    const image = await readImage(files[index] ?? "");
    const timestampSeconds = fps === undefined ? null : index / fps;
    decoded.set(index, { ...image, index, timestampSeconds });
    await pace();
  }
  const frames = indices.map((index) => decoded.get(index)).filter((frame) => frame !== undefined);
  const first = decoded.get(0) ?? (await readImage(firstOf(files)));
  return { info: describe(folder, files, first, fps), frames };
}

async function imagesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(folder, error);
  });
  const names = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name)
    .filter((name) => EXTENSIONS.has(extname(name).toLowerCase()))
    .sort(NATURAL.compare);
  if (names.length === 0) {
    throw new InputError(`${folder}: the folder has no images in it (PNG, JPEG, WebP or BMP)`);
  }
  return names.map((name) => join(folder, name));
}

function firstOf(files: readonly string[]): string {
  return files[0] ?? "";
}

function describe(
  folder: string,
  files: readonly string[],
  { width, height }: RgbImage,
  fps: number | undefined,
): VideoInfo {
  return {
    path: folder,
    width,
    height,
    frameCount: files.length,
    fps: fps ?? null,
    durationSeconds: fps === undefined ? null : files.length / fps,
    codec: extname(firstOf(files)).slice(1).toLowerCase().replace("jpg", "jpeg"),
    container: "folder",
  };
}

/** FFmpeg's demuxer for one image, by how the file begins; its name may lie. */
async function formatOf(path: string): Promise<string> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { buffer: head } = await file.read(Buffer.alloc(12), 0, 12, 0);
    const text = head.toString("latin1");
    if (text.startsWith("\x89PNG")) return "png_pipe";
    if (text.startsWith("\xff\xd8\xff")) return "jpeg_pipe";
    if (text.startsWith("RIFF") && text.endsWith("WEBP")) return "webp_pipe";
    if (text.startsWith("BM")) return "bmp_pipe";
  } finally {
    await file.close();
  }
  throw new InputError(`${path}: not a PNG, JPEG, WebP or BMP image`);
}

/** Decodes one image, upright (EXIF), transparency dropped. @throws InputError */
async function readImage(path: string): Promise<RgbImage> {
  const input = await MediaInput.open(path, { only: await formatOf(path) });
  const damaged = new InputError(`${path}: the image is damaged or cut off`);
  if (input === null) throw damaged;
  try {
    if (input.stream() === null || input.nextPacket() === null) throw damaged;
    input.openDecoder("still");
    for (const what of ["packet", "end"] as const) {
      for (const frame of input.decode(what)) {
        return upright(frame.rgb(), orientationOf(frame.displayMatrix()));
      }
    }
    throw damaged;
  } finally {
    input.close();
  }
}
