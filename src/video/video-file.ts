import { extname } from "node:path";
import { InputError } from "../common/errors.ts";
import { cutOff, type Shortfall } from "./completeness.ts";
import {
  type DecodedFrame,
  MediaInput,
  type PacketFacts,
  type PacketsEnd,
  type StreamFacts,
} from "./ffmpeg.ts";
import { type Orientation, orientationOf } from "./orientation.ts";
import type { VideoInfo } from "./types.ts";

/** Pixels decoded in one go at most: those of two days of 1080p at 12 frames a second. */
const MAX_DECODED_PIXELS = 4e12;
/** FFmpeg's demuxers for our containers; all others, playlists above all, are kept shut. */
const DEMUXERS = ["mov", "matroska", "avi", "gif"];

/** The video stream of a file, to be read from its beginning. Close it after use. */
export class VideoFile {
  readonly path: string;
  /** Pixels, upright. */
  readonly width: number;
  readonly height: number;
  readonly codec: string;
  readonly container: Exclude<VideoInfo["container"], "folder">;
  /** The stream's average frames per second, where the file tells. */
  readonly fps: number | null;
  /** Seconds per unit of a timestamp, and the timestamp (in seconds) a player shows as zero. */
  readonly timeBase: number;
  readonly startSeconds: number;
  readonly orientation: Orientation;
  /** What the file promises of the stream before its packets are read. */
  readonly promised: StreamFacts["promised"];
  /** Video streams in the file, and which of them, from 1, this one is. */
  readonly videoStreams: number;
  readonly chosen: number;
  readonly #input: MediaInput;

  private constructor(path: string, input: MediaInput, stream: StreamFacts) {
    this.path = path;
    this.#input = input;
    this.orientation = orientationOf(stream.displayMatrix);
    const { transpose } = this.orientation;
    this.width = transpose ? stream.height : stream.width;
    this.height = transpose ? stream.width : stream.height;
    this.codec = input.codec() ?? "unknown";
    this.container = containerOf(path, input);
    this.fps = stream.fps;
    this.timeBase = stream.timeBase;
    this.startSeconds = stream.start;
    this.promised = stream.promised;
    this.videoStreams = stream.videoStreams;
    this.chosen = stream.chosen;
  }

  /**
   * @param shortfall what the file's outermost structure says is missing
   * @throws InputError when the file is no video of a known container and codec, or cannot be read for
   *   what is missing
   */
  static async open(path: string, shortfall: Shortfall | null = null): Promise<VideoFile> {
    const input = await MediaInput.open(path, { anyOf: DEMUXERS });
    if (input === null) {
      if (shortfall !== null && shortfall.bytes > 0) throw cutOff(path, shortfall.bytes);
      throw new InputError(
        `${path}: not a video that can be read (MP4, MOV, WebM, MKV, AVI, GIF, or a folder of images)`,
      );
    }
    try {
      const stream = input.stream();
      if (stream === null) throw new InputError(`${path}: ${whatElse(input)}`);
      const file = new VideoFile(path, input, stream);
      if (!(file.width > 0 && file.height > 0)) {
        throw new InputError(`${path}: its video has no picture size; the file is damaged`);
      }
      return file;
    } catch (error) {
      input.close();
      throw error;
    }
  }

  /** The next packet's facts, without decoding it; null at the end of the file. */
  nextPacket(): PacketFacts | null {
    return this.#input.nextPacket();
  }

  /** Moves to a key frame, or to one before it. False where the file cannot do so. */
  seek({ pts, dts }: { readonly pts: number; readonly dts: number | null }): boolean {
    // Matroska's index holds presentation times; those of MP4 and AVI, decoding times.
    const matroska = this.container === "mkv" || this.container === "webm";
    return this.#input.seek(matroska ? pts : (dts ?? pts));
  }

  /**
   * Decodes from the current position to the end, in presentation order.
   *
   * @param pace is called before each packet; what it throws ends the decoding
   * @param isNeeded is told of each packet before it is decoded; one that it does not need is left
   *   out, which only does no harm to others when it is disposable
   */
  async *decode(
    pace: () => Promise<void> | undefined,
    isNeeded: (facts: PacketFacts) => boolean = () => true,
  ): AsyncGenerator<DecodedFrame> {
    this.#input.openDecoder("clip");
    let pixels = 0;
    for (let facts = this.nextPacket(); facts !== null; facts = this.nextPacket()) {
      await pace();
      if (!isNeeded(facts)) continue;
      pixels += this.width * this.height;
      if (pixels > MAX_DECODED_PIXELS) {
        throw new InputError(
          `${this.path}: the video is too long to be decoded in one go: its frames have more than ${MAX_DECODED_PIXELS} pixels together; cut out the part to look at`,
        );
      }
      yield* this.#input.decode("packet");
    }
    yield* this.#input.decode("end");
  }

  /** What is known of the packets once `nextPacket` has given null. */
  get end(): PacketsEnd {
    return this.#input.end;
  }

  /** Packets that the decoder could make nothing of so far. */
  undecodable(): number {
    return this.#input.undecodable();
  }

  close(): void {
    this.#input.close();
  }
}

function containerOf(path: string, input: MediaInput): VideoFile["container"] {
  const { demuxer, brand } = input.container();
  if (demuxer.startsWith("matroska")) {
    return extname(path).toLowerCase() === ".webm" ? "webm" : "mkv";
  }
  if (demuxer.startsWith("mov")) return brand?.trim() === "qt" ? "mov" : "mp4";
  return demuxer === "gif" ? "gif" : "avi";
}

function whatElse(input: MediaInput): string {
  const sound = input.codec();
  return sound === null
    ? "the file has no video in it"
    : `the file has only sound in it (${sound}), no video`;
}
