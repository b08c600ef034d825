import { readdir } from "node:fs/promises";
import { extname, join } from "node:path";
import { InputError } from "../common/errors.ts";
import { unreadable } from "./file-errors.ts";
import { frameIndices, MAX_RATE } from "./frame-indices.ts";
import { pacer } from "./pacer.ts";
import { readPicture } from "./picture-file.ts";
import type { KeepFrames, SampledVideo, SampleOptions, Size, VideoInfo } from "./types.ts";

const EXTENSIONS = new Set([".png", ".jpg", ".jpeg", ".webp", ".bmp"]);
/** frame2 before frame10. */
const NATURAL = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/**
 * Describes a folder of images, its frames in the natural order of their names.
 *
 * @param fps frames per second, where they are known
 * @throws InputError when it has no images, or the first is none
 */
export async function probeFolder(folder: string, fps?: number): Promise<VideoInfo> {
  checkRate(fps);
  const files = await imagesIn(folder);
  return describe(folder, files, await readPicture(firstOf(files)), fps);
}

/**
 * Decodes the chosen images of a folder. They may differ in size: each is prepared for the model by
 * itself. `start` and `end` need the frames per second; with them, second t is the image number t times
 * the rate, counted from 1, as in the reference.
 *
 * @throws InputError, CancelledError as `sampleFrames`
 */
export async function sampleFolder<T>(
  folder: string,
  { frames: wanted, start, end, fps, rule }: SampleOptions,
  keep: KeepFrames<T>,
  signal: AbortSignal | undefined,
): Promise<SampledVideo<T>> {
  checkRate(fps);
  const files = await imagesIn(folder);
  const indices =
    rule === undefined
      ? frameIndices(files.length, fps ?? null, wanted, start, end, 1)
      : rule(files.length, fps ?? null, start, end, true);
  const pace = pacer(signal);
  const keepOne = keep(indices.length);
  const kept = new Map<number, T>();
  let first: Size | null = null;
  for (const index of new Set(indices)) {
    const image = await readPicture(files[index] ?? "");
    if (index === 0) first = { width: image.width, height: image.height };
    const timestampSeconds = fps === undefined ? null : index / fps;
    kept.set(index, keepOne({ ...image, index, timestampSeconds }));
    await pace();
  }
  first ??= await readPicture(firstOf(files));
  const frames = indices.map((index) => kept.get(index) as T);
  return { info: describe(folder, files, first, fps), frames, remarks: [] };
}

function checkRate(fps: number | undefined): void {
  if (fps !== undefined && !(Number.isFinite(fps) && fps > 0 && fps <= MAX_RATE)) {
    throw new InputError(
      `the frames per second must be a number above 0, at most ${MAX_RATE}, not ${fps}`,
    );
  }
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
  { width, height }: Size,
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
