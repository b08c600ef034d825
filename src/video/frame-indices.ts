import { InputError } from "../common/errors.ts";

/**
 * The positions of the frames a model is given: the reference's rule, the middles of equal
 * segments (PLLaVA's and MVBench's `get_index`).
 *
 * With `first` and `last` the ends of the part looked at and seg = (last - first) / wanted, frame i
 * is `first + int(seg / 2) + round(seg * i)`, where `round` is Python's (halves go to the even
 * neighbour). A part given in seconds runs from `round(start * fps)` to
 * `min(round(end * fps), total - 1)`. A clip shorter than `wanted` frames repeats frames by the same
 * formula: three frames for eight give 0 0 0 1 1 1 2 2.
 *
 * @param total frames in the clip
 * @param fps frames per second, needed only with `start` or `end`
 * @returns `wanted` indices, ascending, each within 0 … total - 1
 * @throws InputError when the numbers do not describe a part of the clip
 */
export function frameIndices(
  total: number,
  fps: number | null,
  wanted: number,
  start?: number,
  end?: number,
): number[] {
  checkWanted(wanted);
  if (total < 1) throw new InputError("the clip has no frames");
  const [first, last] = partOfClip(total, fps, start, end);
  const segment = (last - first) / wanted;
  const middle = first + Math.trunc(segment / 2);
  return Array.from({ length: wanted }, (_, i) => middle + roundHalfToEven(segment * i));
}

/** @throws InputError when this cannot be a number of frames. */
export function checkWanted(wanted: number): void {
  if (!Number.isInteger(wanted) || wanted < 1) {
    throw new InputError(`the number of frames must be a whole number from 1, not ${wanted}`);
  }
}

/**
 * First and last frame of the part of a clip that is looked at; the whole of it without `start` and
 * `end`.
 *
 * @throws InputError when the seconds do not describe a part of the clip
 */
export function partOfClip(
  total: number,
  fps: number | null,
  start: number | undefined,
  end: number | undefined,
): [number, number] {
  if (start === undefined && end === undefined) return [0, total - 1];
  for (const [name, value] of [
    ["start", start],
    ["end", end],
  ] as const) {
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
      throw new InputError(`${name} must be a number of seconds from 0, not ${value}`);
    }
  }
  if (start !== undefined && end !== undefined && start >= end) {
    throw new InputError(`start (${start} s) must be before end (${end} s)`);
  }
  if (fps === null || !(fps > 0)) {
    throw new InputError(
      "start and end need a frame rate, and this clip has none: leave them out, or give the frames per second",
    );
  }
  const first = start === undefined ? 0 : roundHalfToEven(start * fps);
  const last = end === undefined ? total - 1 : Math.min(roundHalfToEven(end * fps), total - 1);
  if (first > last) {
    const length = (total / fps).toFixed(2);
    throw new InputError(
      `start (${start} s) is beyond the end of the clip, which is ${length} s long (${total} frames)`,
    );
  }
  return [first, last];
}

/** Python's and NumPy's `round`. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
