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
 * @param numbering what the reference calls the first frame when it counts out seconds: 0 in a video,
 *   1 in a folder of images
 * @returns `wanted` indices, ascending, each within 0 … total - 1
 * @throws InputError when the numbers do not describe a part of the clip
 */
export function frameIndices(
  total: number,
  fps: number | null,
  wanted: number,
  start?: number,
  end?: number,
  numbering: 0 | 1 = 0,
): number[] {
  checkWanted(wanted);
  if (total < 1) throw new InputError("the clip has no frames");
  const [first, last] = partOfClip(total, fps, start, end, numbering);
  const segment = (last - first) / wanted;
  const middle = first + Math.trunc(segment / 2);
  return Array.from({ length: wanted }, (_, i) => middle + roundHalfToEven(segment * i));
}

/** Frames a second of a folder of images: a larger number is a typo. */
export const MAX_RATE = 1000;

/** Frames that a model may be given: a larger number is a typo. */
export const MAX_FRAMES = 4096;

/** @throws InputError when this cannot be a number of frames. */
export function checkWanted(wanted: number): void {
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_FRAMES) {
    throw new InputError(
      `the number of frames must be a whole number from 1 to ${MAX_FRAMES}, not ${wanted}`,
    );
  }
}

/**
 * First and last frame of the part of a clip that is looked at, from 0; the whole of it without
 * `start` and `end`.
 *
 * @param numbering as in `frameIndices`
 * @throws InputError when the seconds do not describe a part of the clip
 */
export function partOfClip(
  total: number,
  fps: number | null,
  start: number | undefined,
  end: number | undefined,
  numbering: 0 | 1 = 0,
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
      'start and end need a frame rate, and this clip has none: leave them out, or give the frames per second ("fps" in a prompt file, --fps)',
    );
  }
  const place = (seconds: number) => Math.max(0, roundHalfToEven(seconds * fps) - numbering);
  const first = start === undefined ? 0 : place(start);
  const last = end === undefined ? total - 1 : Math.min(place(end), total - 1);
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
