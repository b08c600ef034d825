import { InputError } from "../common/errors.ts";
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

/** Chosen frames of a clip by their index, and what was found of the clip on the way. */
export interface ClipFrames {
  readonly frameCount: number;
  readonly fps: number | null;
  /** Whether the frames were reached by seeking, or by decoding everything before them. */
  readonly sought: boolean;
  readonly frames: ReadonlyMap<number, RgbFrame>;
}

/** Which frames to keep, once it is known how many there are and how fast they pass. */
export type Choose = (frameCount: number, fps: number | null) => readonly number[];

/** Seeking met something else than the packets promised: only decoding everything tells. */
class OrderBroken extends Error {}

/**
 * Decodes the chosen frames. By seeking, a stretch from the key frame before each, when the packets
 * tell the frames' order and decoding confirms it; else (or with `inOrder`) by decoding the clip from
 * its beginning. Both give the same frames. Only the chosen ones are kept in memory.
 *
 * @param file just opened; the caller closes it
 * @throws InputError when nothing can be decoded; CancelledError once the signal is aborted
 */
export async function clipFrames(
  file: VideoFile,
  choose: Choose,
  signal?: AbortSignal,
  inOrder = false,
): Promise<ClipFrames> {
  const { packets, order } = await readPackets(file, signal);
  const guess = order?.times.length ?? packets;
  if (guess === 0) throw new InputError(`${file.path}: the video has no frames`);
  const fps = file.fps ?? measuredRate(file, order);
  if (order !== null && !inOrder) {
    const stretches = planStretches(order, choose(guess, fps));
    const frames = await byStretches(file, order, stretches, signal);
    if (frames !== null) return { frameCount: guess, fps, sought: true, frames };
  }
  return fromTheBeginning(file.path, (count) => choose(count, fps), fps, guess, signal);
}

/** Frames per second by the clip's own times, for files that do not say. */
function measuredRate(file: VideoFile, order: FrameOrder | null): number | null {
  const [first, last] = [order?.times[0], order?.times.at(-1)];
  if (order === null || first === undefined || last === undefined || last <= first) return null;
  return (order.times.length - 1) / ((last - first) * file.timeBase);
}

async function readPackets(
  file: VideoFile,
  signal: AbortSignal | undefined,
): Promise<{ packets: number; order: FrameOrder | null }> {
  const pace = pacer(signal);
  const packets: PacketFacts[] = [];
  for (let facts = file.nextPacket(); facts !== null; facts = file.nextPacket()) {
    packets.push(facts);
    await pace();
  }
  // A GIF's frames build on each other, whatever its packets say.
  const order = file.container === "gif" ? null : orderFrames(packets);
  return { packets: packets.filter(({ hidden }) => !hidden).length, order };
}

/** Null when the order that decoding shows is not the one that the packets promised. */
async function byStretches(
  file: VideoFile,
  order: FrameOrder,
  stretches: readonly Stretch[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, RgbFrame> | null> {
  const frames = new Map<number, RgbFrame>();
  try {
    for (const stretch of stretches) await decodeStretch(file, order, stretch, frames, signal);
  } catch (error) {
    if (error instanceof OrderBroken) return null;
    throw error;
  }
  return frames;
}

async function decodeStretch(
  file: VideoFile,
  order: FrameOrder,
  { key, frames: wanted }: Stretch,
  frames: Map<number, RgbFrame>,
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
    next ??= firstFrameFrom(order, from);
    while (leftOut.has(order.times[next])) next += 1;
    if (order.times[next] !== frame.pts) throw new OrderBroken();
    if (keep.has(next)) frames.set(next, keepFrame(file, frame, next));
    if (next === last) return;
    next += 1;
  }
  throw new OrderBroken();
}

/**
 * Decodes everything once, taking the frames that are right if the clip has `guess` of them; and once
 * more, with the number found, if it has not.
 */
async function fromTheBeginning(
  path: string,
  choose: (frameCount: number) => readonly number[],
  fps: number | null,
  guess: number,
  signal: AbortSignal | undefined,
): Promise<ClipFrames> {
  const first = await decodeAll(path, choose(guess), signal);
  if (first.frameCount === guess) return { ...first, fps, sought: false };
  if (first.frameCount === 0) {
    throw new InputError(`${path}: none of the video's frames can be decoded; the file is damaged`);
  }
  const second = await decodeAll(path, choose(first.frameCount), signal);
  return { ...second, fps, sought: false };
}

async function decodeAll(
  path: string,
  wanted: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Pick<ClipFrames, "frameCount" | "frames">> {
  const keep = new Set(wanted);
  const frames = new Map<number, RgbFrame>();
  const file = await VideoFile.open(path);
  try {
    let frameCount = 0;
    for await (const frame of file.decode(pacer(signal))) {
      if (keep.has(frameCount)) frames.set(frameCount, keepFrame(file, frame, frameCount));
      frameCount += 1;
    }
    return { frameCount, frames };
  } finally {
    file.close();
  }
}

function keepFrame(file: VideoFile, frame: DecodedFrame, index: number): RgbFrame {
  // AVI has no presentation times: its frames are shown at a constant rate.
  const seconds =
    frame.pts === null || file.container === "avi"
      ? index / (file.fps ?? 1)
      : frame.pts * file.timeBase - file.startSeconds;
  return { ...upright(frame.rgb(), file.orientation), index, timestampSeconds: seconds };
}
