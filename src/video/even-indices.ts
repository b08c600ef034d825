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
 * @throws InputError when the numbers do not describe a part of the clip
 */
export function spreadIndices(
  total: number,
  fps: number | null,
  wanted: number,
  start?: number,
  end?: number,
): number[] {
  checkWanted(wanted);
  if (total < 1) throw new InputError("the clip has no frames");
  const [first, last] = partOfClip(total, fps, start, end);
  const count = Math.min(wanted, last - first + 1);
  const distance = (last - first) / (count - 1);
  return Array.from({ length: count }, (_, i) =>
    i > 0 && i === count - 1 ? last : first + (i === 0 ? 0 : Math.trunc(i * distance)),
  );
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
