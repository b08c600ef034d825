import { InputError } from "../common/errors.ts";
import { type Choose, type ClipFrames, clipFrames } from "./clip-frames.ts";
import { checkComplete } from "./completeness.ts";
import { whatIsAt } from "./file-errors.ts";
import { frameIndices } from "./frame-indices.ts";
import { probeFolder, sampleFolder } from "./image-folder.ts";
import type { SampledVideo, SampleOptions, VideoInfo } from "./types.ts";
import { VideoFile } from "./video-file.ts";

/**
 * Describes a video file or a folder of images. The frames are counted from the packets; where those
 * do not tell (AVI with B-frames, GIF), by decoding the clip.
 *
 * @throws InputError when it cannot be read as a video; CancelledError once the signal is aborted
 */
export async function probeVideo(path: string, signal?: AbortSignal): Promise<VideoInfo> {
  if ((await whatIsAt(path)) === "folder") return probeFolder(path);
  return (await decodeChosen(path, () => [], signal)).info;
}

/**
 * Decodes the frames a model is given: `frames` of them at the reference's positions (see
 * `frameIndices`), or as a rule chooses them, in the clip, or in its part from `start` to `end`.
 *
 * @throws InputError when the video or the options cannot be used; CancelledError once the signal is
 *   aborted
 */
export async function sampleFrames(
  path: string,
  options: SampleOptions,
  signal?: AbortSignal,
): Promise<SampledVideo> {
  if ((await whatIsAt(path)) === "folder") return sampleFolder(path, options, signal);
  const { frames: wanted, start, end, rule } = options;
  let indices: readonly number[] = [];
  const choose: Choose = (count, fps) => {
    indices =
      rule === undefined
        ? frameIndices(count, fps, wanted, start, end)
        : rule(count, fps, start, end);
    return indices;
  };
  const { info, frames } = await decodeChosen(path, choose, signal);
  const picked = indices.map((index) => {
    const frame = frames.get(index);
    if (frame === undefined) throw new InputError(`${path}: frame ${index} cannot be decoded`);
    return frame;
  });
  return { info, frames: picked };
}

async function decodeChosen(
  path: string,
  choose: Choose,
  signal: AbortSignal | undefined,
): Promise<{ info: VideoInfo; frames: ClipFrames["frames"] }> {
  await checkComplete(path);
  const file = await VideoFile.open(path);
  try {
    const { frameCount, fps, frames } = await clipFrames(file, choose, signal);
    const { width, height, codec, container } = file;
    const durationSeconds = fps === null ? null : frameCount / fps;
    const info = { path, width, height, frameCount, fps, durationSeconds, codec, container };
    return { info, frames };
  } finally {
    file.close();
  }
}
