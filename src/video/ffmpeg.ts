/**
 * The one door to the decoder: FFmpeg's libraries, compiled to WebAssembly (`vendor/ffmpeg`), so that
 * every platform runs the same one. Nothing outside this folder knows which decoder it is.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { InputError } from "../common/errors.ts";
import { type ByteSource, DecoderInstance } from "./decoder-module.ts";
import { unreadable } from "./file-errors.ts";
import type { RgbImage, Size } from "./types.ts";

/** Pictures larger than this (16384 x 8192) are refused: a few bytes must not claim gigabytes. */
const MAX_PIXELS = 1 << 27;

/** @throws InputError naming the bound, where a picture has more pixels than it */
export function checkPictureSize(path: string, { width, height }: Size): void {
  if (width * height > MAX_PIXELS) {
    throw new InputError(
      `${path}: its picture is too large: ${width} x ${height} pixels; at most 16384 x 8192, or as many in another shape, can be used`,
    );
  }
}

/** What a container says of one packet of the video stream. Times are in the stream's time base. */
export interface PacketFacts {
  readonly pts: number | null;
  readonly dts: number | null;
  readonly key: boolean;
  /** Decoded but never shown: cut away by an edit list, or a hidden reference frame (VP8). */
  readonly hidden: boolean;
  /** No other packet needs it to be decoded. False where that is not known. */
  readonly disposable: boolean;
  /** It changes what those after it are decoded with (a palette), which is told only once. */
  readonly changesState: boolean;
  /** The file ends, or breaks off, within it. */
  readonly short: boolean;
}

/** What is known of the packets once all are read. */
export interface PacketsEnd {
  /** Packets that the container's index has of the stream; 0 where it has none. */
  readonly indexed: number;
  /** Packets, or places, that could not be read. */
  readonly unreadable: number;
}

/** What a container says of its video stream. */
export interface StreamFacts {
  /** Pixels, as stored. */
  readonly width: number;
  readonly height: number;
  /** Average frames per second; null where the file does not tell. */
  readonly fps: number | null;
  /** Seconds per unit of a timestamp. */
  readonly timeBase: number;
  /** Seconds; the timestamp a player shows as zero. */
  readonly start: number;
  /** Video streams in the file, and which of them, from 1, this one is. */
  readonly videoStreams: number;
  readonly chosen: number;
  /** What the file promises of the stream; null where it does not say. */
  readonly promised: {
    readonly frames: number | null;
    /** Packets of an index that is read before the packets. */
    readonly indexed: number | null;
    readonly seconds: number | null;
  };
  /** 36 bytes, if any. */
  readonly displayMatrix: Buffer | null;
}

/** A frame as the decoder gives it: valid until the next one is taken. */
export interface DecodedFrame {
  /** In the stream's time base; null where the file has no timestamps. */
  readonly pts: number | null;
  /** The decoder found errors in it and patched it up, or it depends on something that is missing. */
  readonly damaged: boolean;
  /** It depends on no other frame. */
  readonly key: boolean;
  /** The display matrix that came with this frame (EXIF), if any. */
  displayMatrix(): Buffer | null;
  /** @throws InputError when its pixel format cannot be turned into RGB */
  rgb(): RgbImage;
}

/**
 * A clip's frames become the RGB that PyAV gives. A still becomes the RGB that Pillow gives: chroma is
 * interpolated, and a damaged picture is an error where a clip would show it as far as it goes.
 */
export type Content = "clip" | "still";

/** Which of FFmpeg's demuxers may read a file: any of some, or one that is known to be right. */
export type Demuxers = { readonly anyOf: readonly string[] } | { readonly only: string };

/**
 * A file open in the decoder, its one video stream, and the conversion of its frames to RGB. Its
 * methods throw InputError when the file makes the decoder fail. Close it after use.
 */
export class MediaInput {
  readonly #path: string;
  readonly #close: () => void;
  readonly #decoder: DecoderInstance;
  readonly #input: number;
  readonly #facts: number;
  #content: Content | null = null;
  #end: PacketsEnd = { indexed: 0, unreadable: 0 };

  private constructor(path: string, close: () => void, decoder: DecoderInstance, input: number) {
    this.#path = path;
    this.#close = close;
    this.#decoder = decoder;
    this.#input = input;
    this.#facts = decoder.call("fp_facts", input);
  }

  /**
   * Null when none of the demuxers can read the file. No other file is ever opened by it, and of the
   * file only what is asked for is read.
   *
   * @param limitBytes memory the decoder may take, 16 MiB to 2 GiB
   * @throws InputError when the file cannot be opened, or makes the decoder fail
   */
  static async open(
    path: string,
    demuxers: Demuxers,
    limitBytes?: number,
  ): Promise<MediaInput | null> {
    const fd = opened(path);
    const close = () => closeSync(fd);
    try {
      const { size } = fstatSync(fd);
      const read = (into: Uint8Array, position: number) =>
        readSync(fd, into, 0, into.length, position);
      const input = await MediaInput.#open(path, { size, read }, demuxers, close, limitBytes);
      if (input === null) close();
      return input;
    } catch (error) {
      close();
      throw error;
    }
  }

  /**
   * As `open`, of bytes at hand.
   *
   * @param path named in errors
   */
  static openBytes(
    path: string,
    bytes: Uint8Array,
    demuxers: Demuxers,
  ): Promise<MediaInput | null> {
    const read = (into: Uint8Array, position: number) => {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    };
    return MediaInput.#open(path, { size: bytes.length, read }, demuxers, () => {});
  }

  static async #open(
    path: string,
    source: ByteSource,
    demuxers: Demuxers,
    close: () => void,
    limitBytes?: number,
  ): Promise<MediaInput | null> {
    const decoder = await DecoderInstance.create(path, source, limitBytes);
    const any = decoder.place("anyOf" in demuxers ? demuxers.anyOf.join() : "");
    const only = decoder.place("only" in demuxers ? demuxers.only : "");
    const input = decoder.call("fp_open", source.size, any, only, MAX_PIXELS);
    for (const name of [any, only]) decoder.call("free", name);
    return input === 0 ? null : new MediaInput(path, close, decoder, input);
  }

  /** Null where there is no video stream. @throws InputError when its pictures are too large */
  stream(): StreamFacts | null {
    if (this.#call("fp_stream") === 0) return null;
    const [width = 0, height = 0, fps = 0, timeBase = 0, start = 0, ...more] = this.#read(10);
    const [videoStreams = 1, chosen = 1, frames = 0, indexed = 0, seconds = Number.NaN] = more;
    checkPictureSize(this.#path, { width, height });
    return {
      width,
      height,
      fps: fps > 0 ? fps : null,
      timeBase: timeBase > 0 ? timeBase : 1,
      start: Number.isNaN(start) ? 0 : start,
      videoStreams,
      chosen,
      promised: {
        frames: frames > 0 ? frames : null,
        indexed: indexed > 0 ? indexed : null,
        seconds: seconds > 0 ? seconds : null,
      },
      displayMatrix: this.#matrix("fp_stream_matrix"),
    };
  }

  /** FFmpeg's name of the video's codec; where there is no video, of its sound's; null without both. */
  codec(): string | null {
    return this.#decoder.text(this.#call("fp_codec"));
  }

  /** FFmpeg's name of the container's format, and MP4's and MOV's "major brand". */
  container(): { readonly demuxer: string; readonly brand: string | null } {
    const demuxer = this.#decoder.text(this.#call("fp_demuxer")) ?? "";
    return { demuxer, brand: this.#decoder.text(this.#call("fp_brand")) };
  }

  /** What is known of the packets once `nextPacket` has given null. */
  get end(): PacketsEnd {
    return this.#end;
  }

  /** The next packet's facts, without decoding it; null at the end of the file. */
  nextPacket(): PacketFacts | null {
    if (this.#call("fp_next_packet") === 0) {
      const [indexed = 0, unreadable = 0] = this.#read(2);
      this.#end = { indexed, unreadable };
      return null;
    }
    const [pts, dts, key, hidden, disposable, changesState, short] = this.#read(7);
    return {
      pts: time(pts),
      dts: time(dts),
      key: key === 1,
      hidden: hidden === 1,
      disposable: disposable === 1,
      changesState: changesState === 1,
      short: short === 1,
    };
  }

  /** Forgets what was decoded and moves to the key frame at a timestamp, or before it. */
  seek(timestamp: number): boolean {
    return this.#call("fp_seek", timestamp) !== 0;
  }

  /** Makes the decoder ready, once. @throws InputError when there is none for the codec */
  openDecoder(content: Content): void {
    if (this.#content !== null) return;
    const state = this.#call("fp_decoder", content === "still" ? 1 : 0, MAX_PIXELS);
    const name = this.codec() ?? "unknown";
    if (state === 0) {
      throw new InputError(`${this.#path}: there is no decoder for its codec, ${name}`);
    }
    if (state < 0) throw new InputError(`${this.#path}: its ${name} video cannot be decoded`);
    this.#content = content;
  }

  /**
   * Sends the packet that was read last (or: that there are no more) and yields the frames that are
   * ready, in presentation order. A packet too damaged to be decoded yields nothing.
   */
  *decode(what: "packet" | "end"): Generator<DecodedFrame> {
    this.#call("fp_send", what === "end" ? 1 : 0);
    while (this.#call("fp_receive") !== 0) {
      const [pts, width = 0, height = 0, damaged, key] = this.#read(5);
      yield {
        pts: time(pts),
        damaged: damaged === 1,
        key: key === 1,
        displayMatrix: () => this.#matrix("fp_frame_matrix"),
        rgb: () => this.#rgb(width, height),
      };
    }
  }

  /** Packets that the decoder could make nothing of so far. */
  undecodable(): number {
    return this.#call("fp_undecodable");
  }

  close(): void {
    this.#close();
    this.#decoder.drop();
  }

  #rgb(width: number, height: number): RgbImage {
    const address = this.#call("fp_rgb");
    if (address === 0) {
      throw new InputError(`${this.#path}: its pixel format cannot be turned into RGB`);
    }
    return { width, height, data: this.#decoder.bytes(address, width * height * 3) };
  }

  #matrix(of: "fp_stream_matrix" | "fp_frame_matrix"): Buffer | null {
    const address = this.#call(of);
    return address === 0 ? null : Buffer.from(this.#decoder.bytes(address, 36).buffer);
  }

  #call(name: Parameters<DecoderInstance["call"]>[0], ...args: readonly number[]): number {
    return this.#decoder.call(name, this.#input, ...args);
  }

  #read(count: number): Float64Array {
    return this.#decoder.doubles(this.#facts, count);
  }
}

function opened(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw unreadable(path, error);
  }
}

function time(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value;
}
