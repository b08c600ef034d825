import { InputError } from "../common/errors.ts";
import { checkWanted, partOfClip, roundHalfToEven } from "./frame-indices.ts";

/** Frames at even distances from the first on: the rule of Qwen2-VL's video processor. */
export interface EvenSampling {
  /** How many, or how many a second, where the file says. */
  readonly frames?: number;
  readonly perSecond?: number;
  /** Bounds on what `perSecond` comes to. */
  readonly least: number;
  readonly most: number;
  /** Frames come in whole groups of so many. */
  readonly multiple: number;
}

/**
 * Positions of frames at even distances: frame i of n is int(i * total / n) of the part looked at, in
 * 32-bit arithmetic as the reference has it. A number that was asked for is rounded to whole groups (halves to the
 * even one), but is at least one; frames a second are cut to whole groups within the rule's bounds. A
 * clip of fewer frames repeats them by the same formula.
 *
 * @param total frames in the clip
 * @param fps frames per second of the clip
 * @param wanted frames asked for; undefined: what the rule says, which must say something
 * @throws InputError when the numbers do not describe a part of the clip, or frames a second are
 *   wanted of a clip without a rate
 */
export function evenIndices(
  total: number,
  fps: number | null,
  wanted: number | undefined,
  rule: EvenSampling,
  start?: number,
  end?: number,
): number[] {
  if (total < 1) throw new InputError("the clip has no frames");
  const [first, last] = partOfClip(total, fps, start, end);
  const length = last - first + 1;
  const count = countOf(length, fps, wanted ?? rule.frames, rule);
  const distance = length / count;
  return Array.from({ length: count }, (_, i) => first + Math.trunc(Math.fround(i * distance)));
}

/**
 * Positions of `wanted` frames from the first to the last, both included, at even distances cut to
 * whole frames, as the paper's run of VideoLLaMA3 takes them (NumPy's `linspace` to integers); of a
 * shorter clip all frames, once each.
 *
 * @param total frames in the clip
 * @param fps frames per second, needed only with `start` or `end`
 * @param folder whether it is a folder of images: see `spreadPart`
 * @throws InputError when the numbers do not describe a part of the clip
 */
export function spreadIndices(
  total: number,
  fps: number | null,
  wanted: number,
  start?: number,
  end?: number,
  folder = false,
): number[] {
  checkWanted(wanted);
  if (total < 1) throw new InputError("the clip has no frames");
  const [first, last] = spreadPart(total, fps, start, end, folder);
  const count = Math.min(wanted, last - first + 1);
  const distance = (last - first) / (count - 1);
  return Array.from({ length: count }, (_, i) =>
    i > 0 && i === count - 1 ? last : first + (i === 0 ? 0 : Math.trunc(i * distance)),
  );
}

/** Times are compared in the file's own units, which are finer than this share of a frame. */
const SAME_TIME = 1e-6;

/** Whether VideoLLaMA3's run takes a part by frame numbers, as it does of folders and short parts. */
export function takesNumbers(
  start: number | undefined,
  end: number | undefined,
  folder: boolean,
): boolean {
  return folder || (start !== undefined && end !== undefined && end - start < 1);
}

/**
 * First and last frame of a part, from 0, as the paper's run of VideoLLaMA3 takes it (its
 * `load_video`). Of a video file those that ffmpeg gives for `-ss start -t duration` behind its input:
 * from the first that is shown at `start` or later, and as many as are shown in that time, less one
 * where the first comes half a frame's time or more after `start` (output frames are numbered by their
 * rounded times, and the numbers are cut at the end). Of folders of images, and of parts shorter than a
 * second, the frame before `int(seconds * fps)` on both ends.
 *
 * @throws InputError when the seconds do not describe a part of the clip
 */
export function spreadPart(
  total: number,
  fps: number | null,
  start: number | undefined,
  end: number | undefined,
  folder: boolean,
): [number, number] {
  const whole = partOfClip(total, fps, start, end);
  if (fps === null || (start === undefined && end === undefined)) return whole;
  const place = (seconds: number) => Math.trunc(seconds * fps) - 1;
  let [first, last] = [0, total - 1];
  if (takesNumbers(start, end, folder)) {
    if (start !== undefined) first = Math.max(place(start), 0);
    if (end !== undefined) last = Math.min(place(end), last);
  } else {
    const from = start ?? 0;
    first = Math.ceil(from * fps - SAME_TIME);
    if (end !== undefined) {
      const late = first - from * fps >= 0.5 - SAME_TIME ? 1 : 0;
      last = Math.min(first + Math.ceil((end - from) * fps - SAME_TIME) - 1 - late, last);
    }
  }
  if (first > last) {
    throw new InputError(
      `no frame of the clip lies in the part from ${start ?? 0} to ${end ?? "its end"} s`,
    );
  }
  return [first, last];
}

function countOf(
  length: number,
  fps: number | null,
  wanted: number | undefined,
  { perSecond, least, most, multiple }: EvenSampling,
): number {
  if (wanted !== undefined) {
    checkWanted(wanted);
    return Math.max(multiple, roundHalfToEven(wanted / multiple) * multiple);
  }
  if (perSecond === undefined)
    throw new Error("the rule says neither how many frames nor how often");
  if (fps === null || !(fps > 0)) {
    throw new InputError(
      `the model's processor takes ${perSecond} frames a second, and this clip has no rate; give the number of frames`,
    );
  }
  const whole = (count: number) => Math.floor(count / multiple) * multiple;
  const bounded = Math.min(
    Math.max((length / fps) * perSecond, least),
    whole(Math.min(most, length)),
  );
  return Math.max(multiple, whole(Math.min(bounded, length)));
}
