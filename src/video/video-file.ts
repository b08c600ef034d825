import { extname } from "node:path";
import type * as Library from "node-av/lib";
import { InputError } from "../engine/errors.ts";
import { type DecodedFrame, type FFmpeg, FrameDecoder, loadFFmpeg } from "./ffmpeg.ts";
import { type Orientation, orientationOf } from "./orientation.ts";
import type { VideoInfo } from "./types.ts";

/** What a container says of one packet of the video stream. Times are in the stream's time base. */
export interface PacketFacts {
  readonly pts: number | null;
  readonly dts: number | null;
  readonly key: boolean;
  /** Decoded but never shown: cut away by an edit list, or a hidden reference frame (VP8). */
  readonly hidden: boolean;
}

/** FFmpeg's demuxers for our containers; all others, playlists above all, are kept shut. */
const DEMUXERS = "mov,matroska,avi,gif";

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
  readonly #ffmpeg: FFmpeg;
  readonly #format: Library.FormatContext;
  readonly #stream: Library.Stream;
  readonly #packet: Library.Packet;
  #decoder: FrameDecoder | null = null;

  private constructor(
    path: string,
    ffmpeg: FFmpeg,
    format: Library.FormatContext,
    stream: Library.Stream,
  ) {
    const { lib, c } = ffmpeg;
    this.path = path;
    this.#ffmpeg = ffmpeg;
    this.#format = format;
    this.#stream = stream;
    this.#packet = new lib.Packet();
    this.#packet.alloc();
    const { codecpar } = stream;
    this.orientation = orientationOf(codecpar.getCodedSideData(c.AV_PKT_DATA_DISPLAYMATRIX));
    const { transpose } = this.orientation;
    this.width = transpose ? codecpar.height : codecpar.width;
    this.height = transpose ? codecpar.width : codecpar.height;
    this.codec = lib.avGetCodecName(codecpar.codecId) ?? "unknown";
    this.container = containerOf(path, format);
    this.fps = ratio(stream.avgFrameRate);
    this.timeBase = ratio(stream.timeBase) ?? 1;
    const start = format.startTime;
    this.startSeconds = start === c.AV_NOPTS_VALUE ? 0 : Number(start) / 1e6;
  }

  /** @throws InputError when the file is no video of a known container and codec */
  static async open(path: string): Promise<VideoFile> {
    const ffmpeg = await loadFFmpeg();
    const { lib, c } = ffmpeg;
    const format = new lib.FormatContext();
    const options = lib.Dictionary.fromObject({
      format_whitelist: DEMUXERS,
      protocol_whitelist: "file",
    });
    // The prefix keeps a file that is named like an address from being opened as one.
    const opened = format.openInputSync(`file:${path}`, null, options);
    options.free();
    if (opened < 0) {
      throw new InputError(
        `${path}: not a video that can be read (MP4, MOV, WebM, MKV, AVI, GIF, or a folder of images)`,
      );
    }
    try {
      format.findStreamInfoSync(null);
      const stream = format.streams.find(
        ({ codecpar, disposition }) =>
          codecpar.codecType === c.AVMEDIA_TYPE_VIDEO &&
          (disposition & c.AV_DISPOSITION_ATTACHED_PIC) === 0,
      );
      if (stream === undefined) throw new InputError(`${path}: ${whatElse(ffmpeg, format)}`);
      for (const other of format.streams) {
        if (other.index !== stream.index) other.discard = c.AVDISCARD_ALL;
      }
      const file = new VideoFile(path, ffmpeg, format, stream);
      if (!(file.width > 0 && file.height > 0)) {
        throw new InputError(`${path}: its video has no picture size; the file is damaged`);
      }
      return file;
    } catch (error) {
      format.closeInputSync();
      throw error;
    }
  }

  /** The next packet's facts, without decoding it; null at the end of the file. */
  nextPacket(): PacketFacts | null {
    const packet = this.#packet;
    packet.unref();
    while (this.#format.readFrameSync(packet) >= 0) {
      if (packet.streamIndex === this.#stream.index) return this.#factsOf(packet);
      packet.unref();
    }
    return null;
  }

  /** Moves to a key frame, or to one before it. False where the file cannot do so. */
  seek({ pts, dts }: { readonly pts: number; readonly dts: number | null }): boolean {
    this.#decoder?.flush();
    const { AVSEEK_FLAG_BACKWARD } = this.#ffmpeg.c;
    // Matroska's index holds presentation times; those of MP4 and AVI, decoding times.
    const matroska = this.container === "mkv" || this.container === "webm";
    const to = BigInt(matroska ? pts : (dts ?? pts));
    return this.#format.seekFrameSync(this.#stream.index, to, AVSEEK_FLAG_BACKWARD) >= 0;
  }

  /**
   * Decodes from the current position to the end, in presentation order.
   *
   * @param onPacket is told of each packet before it is decoded
   */
  *decode(onPacket?: (facts: PacketFacts) => void): Generator<DecodedFrame> {
    this.#decoder ??= new FrameDecoder(this.#ffmpeg, this.path, this.#stream, "clip");
    for (let facts = this.nextPacket(); facts !== null; facts = this.nextPacket()) {
      onPacket?.(facts);
      yield* this.#decoder.decode(this.#packet);
    }
    yield* this.#decoder.decode(null);
  }

  close(): void {
    this.#decoder?.close();
    this.#packet.free();
    this.#format.closeInputSync();
  }

  #factsOf(packet: Library.Packet): PacketFacts {
    const { c } = this.#ffmpeg;
    const time = (value: bigint) => (value === c.AV_NOPTS_VALUE ? null : Number(value));
    // RFC 6386, 9.1: bit 4 of a VP8 frame's first byte is show_frame.
    const hidden = this.codec === "vp8" && ((packet.data?.[0] ?? 0x10) & 0x10) === 0;
    return {
      pts: time(packet.pts),
      dts: time(packet.dts),
      key: packet.isKeyframe,
      hidden: hidden || (packet.flags & c.AV_PKT_FLAG_DISCARD) !== 0,
    };
  }
}

function ratio({ num, den }: Library.Rational): number | null {
  return num > 0 && den > 0 ? num / den : null;
}

function containerOf(path: string, format: Library.FormatContext): VideoFile["container"] {
  const name = format.iformat?.name ?? "";
  if (name.startsWith("matroska")) return extname(path).toLowerCase() === ".webm" ? "webm" : "mkv";
  if (name.startsWith("mov")) {
    return format.metadata?.get("major_brand")?.trim() === "qt" ? "mov" : "mp4";
  }
  return name === "gif" ? "gif" : "avi";
}

function whatElse({ lib, c }: FFmpeg, format: Library.FormatContext): string {
  const sound = format.streams.find(({ codecpar }) => codecpar.codecType === c.AVMEDIA_TYPE_AUDIO);
  return sound === undefined
    ? "the file has no video in it"
    : `the file has only sound in it (${lib.avGetCodecName(sound.codecpar.codecId)}), no video`;
}
