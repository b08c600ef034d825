import type { PacketFacts } from "./ffmpeg.ts";

/** A place where decoding can begin. Positions count packets, in decoding order. */
export interface KeyFrame {
  readonly position: number;
  readonly pts: number;
  readonly dts: number | null;
}

/** The frames of a clip in presentation order, known from its packets alone. */
export interface FrameOrder {
  /** Presentation times, ascending: entry i is frame i's. */
  readonly times: readonly number[];
  /** Where, in decoding order, frame i's packet stands. */
  readonly positions: readonly number[];
  /** In decoding order. */
  readonly keys: readonly KeyFrame[];
}

/**
 * Orders the frames by their presentation times. Null when packets cannot tell which frames
 * decoding will present: times are missing (AVI with B-frames) or doubled, or the clip begins with
 * frames that depend on something before it. Then only decoding everything tells.
 */
export function orderFrames(packets: readonly PacketFacts[]): FrameOrder | null {
  const times = new Set<number>();
  const shown: [time: number, position: number][] = [];
  const keys: KeyFrame[] = [];
  for (const [position, { pts, dts, key, hidden }] of packets.entries()) {
    if (pts === null) return null;
    const first = keys[0];
    if (first === undefined ? !key : pts < first.pts) return null;
    if (key) keys.push({ position, pts, dts });
    if (hidden) continue;
    if (times.has(pts)) return null;
    times.add(pts);
    shown.push([pts, position]);
  }
  shown.sort(([a], [b]) => a - b);
  return {
    times: shown.map(([time]) => time),
    positions: shown.map(([, position]) => position),
    keys,
  };
}

/** A stretch to decode: from a key frame to the last of the frames wanted from it. */
export interface Stretch {
  readonly key: KeyFrame;
  /** Frame indices, ascending. */
  readonly frames: readonly number[];
}

/**
 * The least decoding that reaches the wanted frames: each from the last key frame that it can be
 * decoded from, unless a stretch already under way gets there first.
 */
export function planStretches(order: FrameOrder, wanted: Iterable<number>): Stretch[] {
  const stretches: { key: KeyFrame; frames: number[] }[] = [];
  let reached = -1;
  for (const index of [...new Set(wanted)].sort((a, b) => a - b)) {
    const time = order.times[index];
    const position = order.positions[index];
    if (time === undefined || position === undefined) throw new Error(`no frame ${index}`);
    // Frames shown before a key frame but stored after it need the key frame before (open GOP).
    const key = order.keys.findLast((k) => k.position <= position && k.pts <= time);
    if (key === undefined) throw new Error(`frame ${index} has no key frame`);
    const last = stretches.at(-1);
    if (last !== undefined && key.position <= reached) last.frames.push(index);
    else stretches.push({ key, frames: [index] });
    reached = Math.max(reached, position);
  }
  return stretches;
}

/** The first frame shown at or after a time: where a stretch from a key frame begins to count. */
export function firstFrameFrom(order: FrameOrder, time: number): number {
  let low = 0;
  let high = order.times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((order.times[middle] ?? Number.POSITIVE_INFINITY) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
