import { InputError } from "../common/errors.ts";
import { cutOff, type Shortfall } from "./completeness.ts";
import type { PacketFacts, PacketsEnd } from "./ffmpeg.ts";
import type { VideoFile } from "./video-file.ts";

/** A clip may end so much before the time it promises: rounding, or a last frame without a duration. */
const EARLY_FRAMES = 2;
const EARLY_SECONDS = 0.1;

/** Packets of a clip as they were read. */
export interface ReadPackets {
  readonly packets: readonly PacketFacts[];
  readonly end: PacketsEnd;
}

/**
 * Compares the packets that could be read with what the file promises.
 *
 * @param shortfall what the outermost structure says is missing
 * @returns what is to be said of it; null where nothing is missing
 * @throws InputError when the file is cut off: chosen frames would be others than those of the whole
 */
export function judge(
  file: VideoFile,
  { packets, end }: ReadPackets,
  shortfall: Shortfall | null,
): string | null {
  const lacking = lackingPackets(file, packets.length, end);
  const early = earlySeconds(file, packets);
  const short = packets.some((packet) => packet.short);
  const bytes = shortfall?.bytes ?? 0;
  if (bytes > 0 && (shortfall?.certain || short || lacking > 0 || early > 0)) {
    throw cutOff(file.path, bytes);
  }
  const indexed = file.container === "mp4" || file.container === "mov";
  if (short || (indexed && lacking > 0)) {
    const missing = Math.max(lacking, 0) + (short ? 1 : 0);
    throw new InputError(
      `${file.path}: the file is cut off: ${missing} of its ${packets.length + Math.max(lacking, 0)} frames are missing, in whole or in part; copy or download it again`,
    );
  }
  if (lacking > 0) {
    return `the file says that it has ${packets.length + lacking} frames, but ${packets.length} are there; frames are counted without the rest`;
  }
  if (early > 0) {
    const seconds = (file.promised.seconds ?? 0).toFixed(2);
    return `the file says that its video lasts ${seconds} s, but its frames end ${early.toFixed(2)} s before; frames are counted without the rest`;
  }
  // A length that is too large makes the end of the file look broken off.
  const slip = shortfall === null ? 0 : shortfall.bytes === 0 ? 1 : -1;
  const unreadable = end.unreadable + slip;
  if (unreadable > 0) {
    return `the file is damaged: ${times(unreadable, "place")} in it cannot be read; frames that were there are not counted`;
  }
  return null;
}

/** Packets that the index, or else the header, promises beyond those that were read. */
function lackingPackets(file: VideoFile, read: number, { indexed }: PacketsEnd): number {
  if (file.container === "mp4" || file.container === "mov") return indexed - read;
  if (file.container !== "avi") return 0;
  // An AVI's index leaves out the empty packets that its header counts.
  return (file.promised.indexed === null ? (file.promised.frames ?? 0) : indexed) - read;
}

/** Seconds by which a Matroska file's frames end before the time that it promises; else 0. */
function earlySeconds(file: VideoFile, packets: readonly PacketFacts[]): number {
  const { seconds } = file.promised;
  if (seconds === null || (file.container !== "mkv" && file.container !== "webm")) return 0;
  let last = Number.NEGATIVE_INFINITY;
  for (const { pts } of packets) last = Math.max(last, pts ?? last);
  if (!Number.isFinite(last)) return 0;
  const frame = 1 / (file.fps ?? 1);
  const early = seconds - last * file.timeBase - frame;
  return early > EARLY_FRAMES * frame + EARLY_SECONDS ? early : 0;
}

/** What decoding showed of a clip's damage. */
export class Damage {
  /** Packets that the decoder could make nothing of. */
  #undecodable = 0;
  /** Frames that were decoded with errors, by index. */
  readonly #frames = new Set<number>();
  /** Of the frames that were kept, those that were decoded with errors or after some. */
  readonly #touched = new Set<number>();

  get found(): boolean {
    return this.#undecodable > 0 || this.#frames.size > 0;
  }

  /** Frame `index` was decoded with errors. */
  frame(index: number): void {
    this.#frames.add(index);
  }

  /** Frame `index`, one of those kept, shows errors or was decoded after some. */
  touch(index: number): void {
    this.#touched.add(index);
  }

  packets(undecodable: number): void {
    this.#undecodable += undecodable;
  }

  /** In words; null where there is none. */
  toString(): string {
    const parts = [
      ...(this.#undecodable > 0 ? [`${times(this.#undecodable, "packet")} cannot be decoded`] : []),
      ...(this.#frames.size > 0
        ? [`${times(this.#frames.size, "frame")} decoded with errors (${numbers(this.#frames)})`]
        : []),
    ];
    const touched =
      this.#touched.size === 0 ? "" : `; of the frames used, ${numbers(this.#touched)} may show it`;
    return `the video is damaged: ${parts.join(", ")}${touched}; copy or download it again`;
  }
}

function times(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The first few of some frames' numbers. */
function numbers(frames: ReadonlySet<number>): string {
  const sorted = [...frames].sort((a, b) => a - b);
  const shown = sorted.slice(0, 8).join(", ");
  return sorted.length > 8 ? `${shown}, …` : shown;
}
