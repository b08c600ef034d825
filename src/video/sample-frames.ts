import { InputError } from "../common/errors.ts";
import { clipFrames, type Wanted } from "./clip-frames.ts";
import { shortfallOf } from "./completeness.ts";
import { whatIsAt } from "./file-errors.ts";
import { frameIndices } from "./frame-indices.ts";
import { probeFolder, sampleFolder } from "./image-folder.ts";
import type { KeepFrames, SampledVideo, SampleOptions, VideoInfo } from "./types.ts";
import { VideoFile } from "./video-file.ts";

/**
 * Describes a video file or a folder of images. The frames are counted from the packets; where those
 * do not tell (AVI with B-frames, GIF), by decoding the clip.
 *
 * @param fps of a folder of images, which has no rate of its own
 * @throws InputError when it cannot be read as a video; CancelledError once the signal is aborted
 */
export async function probeVideo(
  path: string,
  signal?: AbortSignal,
  fps?: number,
): Promise<VideoInfo> {
  if ((await whatIsAt(path)) === "folder") return probeFolder(path, fps);
  return (await decodeChosen(path, { choose: () => [], keep: () => null }, signal)).info;
}

/**
 * Decodes the frames a model is given: `frames` of them at the reference's positions (see
 * `frameIndices`), or as a rule chooses them, in the clip, or in its part from `start` to `end`.
 *
 * @throws InputError when the video or the options cannot be used; CancelledError once the signal is
 *   aborted
 */
export function sampleFrames(
  path: string,
  options: SampleOptions,
  signal?: AbortSignal,
): Promise<SampledVideo> {
  return sampleEach(path, options, () => (frame) => frame, signal);
}

/**
 * As `sampleFrames`, but gives what `keep` makes of each frame as soon as it is decoded, so that
 * hundreds of large frames are never in memory at once.
 *
 * @throws InputError, CancelledError as `sampleFrames`, and what `keep` throws
 */
export async function sampleEach<T>(
  path: string,
  options: SampleOptions,
  keep: KeepFrames<T>,
  signal?: AbortSignal,
): Promise<SampledVideo<T>> {
  if ((await whatIsAt(path)) === "folder") return sampleFolder(path, options, keep, signal);
  const { frames: wanted, start, end, rule } = options;
  let indices: readonly number[] = [];
  let keepOne = keep(0);
  const times = new Map<number, number | null>();
  const choice: Wanted<T> = {
    choose: (count, fps) => {
      indices =
        rule === undefined
          ? frameIndices(count, fps, wanted, start, end)
          : rule(count, fps, start, end, false);
      keepOne = keep(indices.length);
      times.clear();
      return indices;
    },
    keep: (frame) => {
      times.set(frame.index, frame.timestampSeconds);
      return keepOne(frame);
    },
  };
  const { info, frames, remarks } = await decodeChosen(path, choice, signal);
  const picked = indices.map((index) => {
    if (!frames.has(index)) throw new InputError(`${path}: frame ${index} cannot be decoded`);
    return frames.get(index) as T;
  });
  const more = [outsideOf(times, info, options), otherRate(info, options)];
  return { info, frames: picked, remarks: [...remarks, ...more.filter((one) => one !== null)] };
}

/** A rate that was given for a file that has its own. */
function otherRate({ fps }: VideoInfo, { fps: given }: SampleOptions): string | null {
  if (given === undefined || fps === null || Math.abs(given - fps) < 1e-6 * fps) return null;
  return `the frames per second given, ${given}, are not used: the file has its own rate, ${Number(fps.toFixed(3))}`;
}

/**
 * Where a clip's rate varies, the frames that its average gives for a part may have times of their own
 * outside of it; the reference takes them, and so do we, but not without a word.
 */
function outsideOf(
  times: ReadonlyMap<number, number | null>,
  { fps }: VideoInfo,
  { start, end }: SampleOptions,
): string | null {
  if (fps === null || (start === undefined && end === undefined)) return null;
  // Seconds are rounded to the nearest frame.
  const slack = 0.5 / fps + 1e-3;
  const known = [...times.values()].filter((seconds) => seconds !== null);
  const from = start ?? Number.NEGATIVE_INFINITY;
  const to = end ?? Number.POSITIVE_INFINITY;
  const outside = known.filter((seconds) => seconds < from - slack || seconds > to + slack);
  if (outside.length === 0) return null;
  const range = `${Math.min(...known).toFixed(2)} to ${Math.max(...known).toFixed(2)} s`;
  const asked = [
    ...(start === undefined ? [] : [`from ${start} s`]),
    ...(end === undefined ? [] : [`to ${end} s`]),
  ].join(" ");
  return `${outside.length} of the ${known.length} frames chosen lie outside of the part asked for (${asked}): their own times are ${range}. Seconds become frame numbers by the clip's average rate, ${Number(fps.toFixed(3))} frames a second, as in the reference, and its rate varies`;
}

async function decodeChosen<T>(
  path: string,
  wanted: Wanted<T>,
  signal: AbortSignal | undefined,
): Promise<{ info: VideoInfo; frames: ReadonlyMap<number, T>; remarks: readonly string[] }> {
  const shortfall = await shortfallOf(path);
  const file = await VideoFile.open(path, shortfall);
  try {
    const found = await clipFrames(file, wanted, signal, { shortfall });
    const { frameCount, fps, frames } = found;
    const { width, height, codec, container } = file;
    const durationSeconds = fps === null ? null : frameCount / fps;
    const info = { path, width, height, frameCount, fps, durationSeconds, codec, container };
    return { info, frames, remarks: [...tracksOf(file), ...found.remarks] };
  } finally {
    file.close();
  }
}

function tracksOf({ videoStreams, chosen, width, height, codec }: VideoFile): string[] {
  if (videoStreams < 2) return [];
  return [
    `the file has ${videoStreams} video tracks; number ${chosen} is used (${width} x ${height}, ${codec}): the default one, or the one with more frames, as players choose`,
  ];
}
