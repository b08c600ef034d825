import type { PromptTokens } from "../prompts/groups.ts";
import type { VideoWording } from "../prompts/prompt-spec.ts";
import type { ClipTimes } from "../prompts/video-text.ts";
import type { ClipSource } from "../protocol/requests.ts";
import { spreadPart, takesNumbers } from "../video/even-indices.ts";
import { partOfClip } from "../video/frame-indices.ts";
import type { VideoInfo } from "../video/types.ts";
import type { Positions } from "./families/shared/rope.ts";
import { isNative, type ModelSpec } from "./families/shared/spec.ts";
import { mropePositions } from "./positions/mrope.ts";

/** A clip and the numbers of the frames taken from it. */
export interface TimedFrames {
  readonly info: VideoInfo;
  readonly frames: readonly { readonly index: number }[];
}

/** Frames a second that a model's processor assumes of pictures without a clock. */
const ASSUMED_FPS = 24;
/** The same of VideoLLaMA3's processors, by the clock they tell. */
const STAMPED_FPS = { frame: 1, span: 3 } as const;

/**
 * What a prompt may say of a clip's times, as the models' processors reckon them: from frame numbers
 * and the rate, or from the clip's ends. A counterfactual order changes the frames that are shown, not
 * the times told.
 *
 * @throws InputError when the seconds of `clip` do not describe a part of it
 */
export function timesOf(
  { info, frames }: TimedFrames,
  { startSeconds, endSeconds }: ClipSource,
  wording: VideoWording,
): ClipTimes {
  const stamped = wording.kind === "stamped" ? wording.clock : undefined;
  const fps = info.fps ?? (stamped === undefined ? ASSUMED_FPS : STAMPED_FPS[stamped]);
  const durationSeconds = info.frameCount / fps;
  const folder = info.container === "folder";
  if (stamped !== "span" || info.fps === null || takesNumbers(startSeconds, endSeconds, folder)) {
    return { frameSeconds: frames.map(({ index }) => index / fps), durationSeconds };
  }
  const [first, last] = spreadPart(info.frameCount, fps, startSeconds, endSeconds, folder);
  const from = startSeconds ?? 0;
  const duration = Math.min(durationSeconds, (endSeconds ?? Number.POSITIVE_INFINITY) - from);
  const step = duration / Math.max(1, last - first);
  const frameSeconds = frames.map(({ index }) => from + (index - first) * step);
  return { frameSeconds, durationSeconds };
}

/**
 * Where the prompt's rows stand; undefined: at their numbers. Time goes by the rate of the sampled
 * frames, whatever distances they really have, as the model's processor reckons it.
 *
 * @throws InputError when the seconds of `clip` do not describe a part of it
 */
export function rowPositions(
  spec: ModelSpec,
  tokens: PromptTokens,
  { info, frames }: TimedFrames,
  { startSeconds, endSeconds }: ClipSource,
): Positions | undefined {
  if (spec.videoPositions === undefined) return undefined;
  let rate = ASSUMED_FPS;
  if (info.fps !== null) {
    const [first, last] = partOfClip(info.frameCount, info.fps, startSeconds, endSeconds);
    rate = (frames.length / (last - first + 1)) * info.fps;
  }
  const patchFrames = isNative(spec) ? spec.vision.patchFrames : 1;
  const { length, video, grid } = tokens;
  const secondsPerStep = patchFrames / rate;
  return mropePositions(spec.videoPositions, { length, video, grid, secondsPerStep });
}
