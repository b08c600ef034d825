import { InputError } from "../common/errors.ts";
import type { Shortfall } from "./completeness.ts";
import { Damage, judge, type ReadPackets } from "./damage.ts";
import type { DecodedFrame, PacketFacts } from "./ffmpeg.ts";
import {
  type FrameOrder,
  firstFrameFrom,
  orderFrames,
  planStretches,
  type Stretch,
} from "./frame-order.ts";
import { upright } from "./orientation.ts";
import { pacer } from "./pacer.ts";
import type { RgbFrame } from "./types.ts";
import { VideoFile } from "./video-file.ts";

/** Packets of a clip at most: 18 hours at 60 frames a second. */
const MAX_PACKETS = 4_000_000;

/** Chosen frames of a clip by their index, and what was found of the clip on the way. */
export interface ClipFrames<T> {
  readonly frameCount: number;
  readonly fps: number | null;
  /** Whether the frames were reached by seeking, or by decoding everything before them. */
  readonly sought: boolean;
  readonly frames: ReadonlyMap<number, T>;
  /** What is not as it should be in the file, without making the frames useless. */
  readonly remarks: readonly string[];
}

/** Which frames are wanted, and what is kept of each: hundreds in full size would fill the memory. */
export interface Wanted<T> {
  /**
   * Their indices, once it is known how many frames there are and how fast they pass. May be called
   * again, when decoding shows another number.
   */
  readonly choose: (frameCount: number, fps: number | null) => readonly number[];
  readonly keep: (frame: RgbFrame) => T;
}

/** Seeking met something else than the packets promised: only decoding everything tells. */
class OrderBroken extends Error {}

/**
 * Decodes the chosen frames. By seeking, a stretch from the key frame before each, when the packets
 * tell the frames' order and decoding confirms it; else (or with `inOrder`) by decoding the clip from
 * its beginning. Both give the same frames. Only what is kept of the chosen ones stays in memory.
 *
 * @param file just opened; the caller closes it
 * @param shortfall what the file's outermost structure says is missing
 * @throws InputError when nothing can be decoded, a chosen frame cannot, or the file is cut off;
 *   CancelledError once the signal is aborted
 */
export async function clipFrames<T>(
  file: VideoFile,
  wanted: Wanted<T>,
  signal?: AbortSignal,
  { inOrder = false, shortfall = null }: { inOrder?: boolean; shortfall?: Shortfall | null } = {},
): Promise<ClipFrames<T>> {
  const read = await readPackets(file, signal);
  const missing = judge(file, read, shortfall);
  const order = orderOf(file, read);
  const guess = order?.times.length ?? read.packets.filter(({ hidden }) => !hidden).length;
  if (guess === 0) throw new InputError(`${file.path}: the video has no frames`);
  const fps = file.fps ?? measuredRate(file, order);
  const clip = { path: file.path, order, fps, guess, wanted };
  const sought = order !== null && !inOrder ? await byStretches(file, clip, order, signal) : null;
  const { damage, ...found } = sought ?? (await fromTheBeginning(clip, signal));
  const remarks = [missing, damage.found ? String(damage) : null];
  return { ...found, fps, remarks: remarks.filter((remark) => remark !== null) };
}

/** A clip whose packets have been read. */
interface Clip<T> {
  readonly path: string;
  /** Null where the packets do not tell which frames decoding will present. */
  readonly order: FrameOrder | null;
  readonly fps: number | null;
  /** How many frames it should have. */
  readonly guess: number;
  readonly wanted: Wanted<T>;
}

interface Found<T> extends Pick<ClipFrames<T>, "frameCount" | "sought" | "frames"> {
  readonly damage: Damage;
}

async function readPackets(file: VideoFile, signal: AbortSignal | undefined): Promise<ReadPackets> {
  const pace = pacer(signal);
  const packets: PacketFacts[] = [];
  for (let facts = file.nextPacket(); facts !== null; facts = file.nextPacket()) {
    if (packets.push(facts) > MAX_PACKETS) {
      throw new InputError(
        `${file.path}: the video has more than ${MAX_PACKETS} frames; cut out the part to look at`,
      );
    }
    await pace();
  }
  return { packets, end: file.end };
}

/**
 * Null where decoding has to begin at the beginning: the packets do not tell the frames' order, or a
 * packet depends on what was told with an earlier one and would not be told again (a palette).
 */
function orderOf(file: VideoFile, { packets }: ReadPackets): FrameOrder | null {
  // A GIF's frames build on each other, whatever its packets say.
  if (file.container === "gif" || packets.some(({ changesState }) => changesState)) return null;
  return orderFrames(packets);
}

/** Frames per second by the clip's own times, for files that do not say. */
function measuredRate(file: VideoFile, order: FrameOrder | null): number | null {
  const [first, last] = [order?.times[0], order?.times.at(-1)];
  if (order === null || first === undefined || last === undefined || last <= first) return null;
  return (order.times.length - 1) / ((last - first) * file.timeBase);
}

/** Null when the order that decoding shows is not the one that the packets promised. */
async function byStretches<T>(
  file: VideoFile,
  { guess, fps, wanted }: Clip<T>,
  order: FrameOrder,
  signal: AbortSignal | undefined,
): Promise<Found<T> | null> {
  const found = new Kept(file, wanted.keep);
  try {
    for (const stretch of planStretches(order, wanted.choose(guess, fps))) {
      await decodeStretch(file, order, stretch, found, signal);
    }
  } catch (error) {
    if (error instanceof OrderBroken) return null;
    throw error;
  }
  return { ...found.all, frameCount: guess, sought: true };
}

/** What is kept of a clip's frames, and the damage met on the way to them. */
class Kept<T> {
  readonly #file: VideoFile;
  readonly #keep: (frame: RgbFrame) => T;
  readonly #frames = new Map<number, T>();
  readonly #damage = new Damage();
  /** Errors were met since the last whole key frame. */
  #unsure = false;
  #undecodable = 0;

  constructor(file: VideoFile, keep: (frame: RgbFrame) => T) {
    this.#file = file;
    this.#keep = keep;
  }

  get all(): { readonly frames: ReadonlyMap<number, T>; readonly damage: Damage } {
    return { frames: this.#frames, damage: this.#damage };
  }

  /** Decoding begins at a key frame. */
  begin(): void {
    this.#unsure = false;
    this.#undecodable = this.#file.undecodable();
  }

  /** Takes note of frame `index`; it is kept if it is wanted. */
  add(frame: DecodedFrame, index: number, isWanted: boolean): void {
    const failed = this.noteFailed();
    this.#unsure = frame.damaged || failed > 0 || (this.#unsure && !frame.key);
    if (frame.damaged) this.#damage.frame(index);
    if (!isWanted) return;
    if (this.#unsure) this.#damage.touch(index);
    this.#frames.set(index, this.#keep(this.#picture(frame, index)));
  }

  /** Takes note of packets that could not be decoded since the last look, and says how many. */
  noteFailed(): number {
    const undecodable = this.#file.undecodable();
    const failed = undecodable - this.#undecodable;
    this.#undecodable = undecodable;
    this.#damage.packets(failed);
    return failed;
  }

  #picture(frame: DecodedFrame, index: number): RgbFrame {
    const { container, fps, timeBase, startSeconds, orientation } = this.#file;
    // AVI has no presentation times: its frames are shown at a constant rate.
    const seconds =
      frame.pts === null || container === "avi"
        ? index / (fps ?? 1)
        : frame.pts * timeBase - startSeconds;
    return { ...upright(frame.rgb(), orientation), index, timestampSeconds: seconds };
  }
}

async function decodeStretch<T>(
  file: VideoFile,
  order: FrameOrder,
  { key, frames: wanted }: Stretch,
  found: Kept<T>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!file.seek(key)) throw new OrderBroken();
  const keep = new Set(wanted);
  const shown = new Set(wanted.map((index) => order.times[index]));
  const leftOut = new Set<number | undefined>();
  let from: number | null = null;
  const isNeeded = ({ key: isKey, pts, hidden, disposable }: PacketFacts) => {
    if (from === null) {
      // A seek may stop at an earlier key frame, which costs time alone.
      const at = isKey ? order.keys.find((known) => known.pts === pts) : undefined;
      if (at === undefined || at.position > key.position) throw new OrderBroken();
      from = pts;
    }
    if (!disposable || hidden || pts === null || shown.has(pts)) return true;
    leftOut.add(pts);
    return false;
  };
  const last = wanted.at(-1);
  let next: number | null = null;
  for await (const frame of file.decode(pacer(signal), isNeeded)) {
    if (frame.pts === null || from === null) throw new OrderBroken();
    // Leading pictures of an open GOP may or may not decode after a seek; they are not ours.
    if (frame.pts < from) continue;
    if (next === null) {
      next = firstFrameFrom(order, from);
      found.begin();
    }
    while (leftOut.has(order.times[next])) next += 1;
    if (order.times[next] !== frame.pts) throw new OrderBroken();
    found.add(frame, next, keep.has(next));
    if (next === last) return;
    next += 1;
  }
  throw new OrderBroken();
}

/**
 * Decodes everything once, taking the frames that are right if the clip has as many as it should; and
 * once more if it has not: by their times where the file is damaged and its packets tell them, else
 * with the number found.
 */
async function fromTheBeginning<T>(
  clip: Clip<T>,
  signal: AbortSignal | undefined,
): Promise<Found<T>> {
  const { path, order, guess } = clip;
  const first = await decodeAll(clip, guess, null, signal);
  if (first.frameCount === guess) return first;
  if (first.frameCount === 0) {
    throw new InputError(`${path}: none of the video's frames can be decoded; the file is damaged`);
  }
  if (order !== null && first.damage.found) return decodeAll(clip, guess, order, signal);
  return decodeAll(clip, first.frameCount, null, signal);
}

/**
 * @param frameCount of the clip, among which frames are chosen
 * @param order numbers the frames by their times, and every chosen one must be there; null: they are
 *   counted
 */
async function decodeAll<T>(
  { path, fps, wanted }: Clip<T>,
  frameCount: number,
  order: FrameOrder | null,
  signal: AbortSignal | undefined,
): Promise<Found<T>> {
  const chosen = new Set(wanted.choose(frameCount, fps));
  const places = new Map(order?.times.map((time, index) => [time, index]));
  const file = await VideoFile.open(path);
  try {
    const found = new Kept(file, wanted.keep);
    let count = 0;
    for await (const frame of file.decode(pacer(signal))) {
      const index = order === null ? count : places.get(frame.pts ?? Number.NaN);
      if (index !== undefined) found.add(frame, index, chosen.has(index));
      count += 1;
    }
    found.noteFailed();
    const { frames, damage } = found.all;
    const lost = order === null ? undefined : [...chosen].find((index) => !frames.has(index));
    if (lost !== undefined) {
      throw new InputError(
        `${path}: frame ${lost} of ${frameCount} is to be used and cannot be decoded; ${damage}`,
      );
    }
    return { frames, damage, frameCount: order === null ? count : frameCount, sought: false };
  } finally {
    file.close();
  }
}
