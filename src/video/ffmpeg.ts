/**
 * The one door to the decoder: FFmpeg, through the low-level half of `node-av` (its high-level half
 * needs a newer Node than VS Code has). It is the only library found that reads AVI and MPEG-4 beside
 * the others, and its pictures equal PyAV's bit for bit; its binaries are GPL-3 and large, so how they
 * reach the user is the package's concern, and nothing outside this folder knows which decoder it is.
 */
import type * as Constants from "node-av/constants";
import type * as Library from "node-av/lib";
import { InputError } from "../engine/errors.ts";
import type { RgbImage } from "./types.ts";

export interface FFmpeg {
  readonly lib: typeof Library;
  readonly c: typeof Constants;
}

/** Pictures larger than this (16384 x 8192) are refused: a few bytes must not claim gigabytes. */
const MAX_PIXELS = 1 << 27;

let loading: Promise<FFmpeg> | undefined;

/** Loads the native library on first use. @throws InputError where it cannot be loaded */
export function loadFFmpeg(): Promise<FFmpeg> {
  loading ??= load();
  return loading;
}

async function load(): Promise<FFmpeg> {
  try {
    const [lib, c] = await Promise.all([import("node-av/lib"), import("node-av/constants")]);
    // What goes wrong is said by our own errors; FFmpeg's lines on stderr are for its developers.
    lib.Log.setLevel(c.AV_LOG_QUIET);
    return { lib, c };
  } catch (error) {
    loading = undefined;
    const [why] = String((error as Error).message).split("\n");
    throw new InputError(
      `video cannot be decoded on this machine (${process.platform}-${process.arch}): ${why}`,
    );
  }
}

/** A frame as the decoder gives it: valid until the next one is taken. */
export interface DecodedFrame {
  /** In the stream's time base; null where the file has no timestamps. */
  readonly pts: number | null;
  /** The display matrix that came with this frame (EXIF), if any. */
  displayMatrix(): Buffer | null;
  rgb(): RgbImage;
}

/**
 * A clip's frames become the RGB that PyAV gives. A still becomes the RGB that Pillow gives: chroma is
 * interpolated, and a damaged picture is an error where a clip would show it as far as it goes.
 */
export type Content = "clip" | "still";

/** A stream's decoder and the conversion of its frames to RGB. Close it after use. */
export class FrameDecoder {
  readonly #ffmpeg: FFmpeg;
  readonly #context: Library.CodecContext;
  readonly #scaler: Library.SoftwareScaleContext;
  readonly #frame: Library.Frame;
  readonly #content: Content;
  readonly #path: string;

  /** @throws InputError when there is no decoder for the codec */
  constructor(ffmpeg: FFmpeg, path: string, stream: Library.Stream, content: Content) {
    const { lib } = ffmpeg;
    this.#ffmpeg = ffmpeg;
    this.#content = content;
    this.#path = path;
    const codec = lib.Codec.findDecoder(stream.codecpar.codecId);
    const name = lib.avGetCodecName(stream.codecpar.codecId) ?? "unknown";
    if (codec === null) throw new InputError(`${path}: there is no decoder for its codec, ${name}`);
    this.#context = new lib.CodecContext();
    this.#context.allocContext3(codec);
    this.#context.parametersToContext(stream.codecpar);
    this.#context.pktTimebase = stream.timeBase;
    this.#context.threadCount = 0;
    this.#context.setOption("max_pixels", MAX_PIXELS);
    if (content === "still") this.#context.setOption("err_detect", "explode");
    const opened = this.#context.open2Sync(codec, null);
    this.#scaler = new lib.SoftwareScaleContext();
    this.#scaler.allocContext();
    const flags = content === "clip" ? "bilinear" : "bilinear+full_chroma_int+accurate_rnd";
    this.#scaler.setOption("sws_flags", flags);
    this.#frame = new lib.Frame();
    this.#frame.alloc();
    if (opened < 0) {
      this.close();
      throw new InputError(`${path}: its ${name} video cannot be decoded`);
    }
  }

  /**
   * Sends one packet (null: there are no more) and yields the frames that are ready, in presentation
   * order. A damaged packet yields nothing.
   */
  *decode(packet: Library.Packet | null): Generator<DecodedFrame> {
    this.#context.sendPacketSync(packet);
    const frame = this.#frame;
    while (this.#context.receiveFrameSync(frame) >= 0) {
      const { c } = this.#ffmpeg;
      const pts = frame.bestEffortTimestamp;
      yield {
        pts: pts === c.AV_NOPTS_VALUE ? null : Number(pts),
        displayMatrix: () => frame.getSideData(c.AV_FRAME_DATA_DISPLAYMATRIX),
        rgb: () => this.#toRgb(frame),
      };
      frame.unref();
    }
  }

  /** Forgets what was decoded, for a seek. */
  flush(): void {
    this.#context.flushBuffers();
  }

  close(): void {
    this.#frame.free();
    this.#scaler.freeContext();
    this.#context.freeContext();
  }

  /** swscale with the frame's own matrix and range (BT.601, limited, where it does not say). */
  #toRgb(frame: Library.Frame): RgbImage {
    const { c, lib } = this.#ffmpeg;
    const { width, height } = frame;
    // Transfer and primaries are left alone, as everywhere in this field; some tags are refused.
    frame.colorTrc = c.AVCOL_TRC_UNSPECIFIED;
    frame.colorPrimaries = c.AVCOL_PRI_UNSPECIFIED;
    const odd = this.#content === "still" && subsampled(lib.avGetPixFmtName(frame.format as never));
    if (odd) {
      // Chroma of an odd-sized still covers one pixel more than the picture: scaling must be by 2.
      frame.width += width % 2;
      frame.height += height % 2;
    }
    const converted = new lib.Frame();
    converted.alloc();
    try {
      converted.format = c.AV_PIX_FMT_RGB24;
      converted.width = frame.width;
      converted.height = frame.height;
      // Interlaced frames are converted field by field.
      converted.flags = frame.flags;
      if (converted.getBuffer() < 0 || this.#scaler.scaleFrameSync(converted, frame) < 0) {
        throw new InputError(`${this.#path}: its pixel format cannot be turned into RGB`);
      }
      const [pixels] = converted.data ?? [];
      const [stride] = converted.linesize;
      if (pixels === undefined || stride === undefined) throw new Error("a frame without pixels");
      const row = width * 3;
      const data = new Uint8Array(row * height);
      for (let y = 0; y < height; y++) {
        data.set(pixels.subarray(y * stride, y * stride + row), y * row);
      }
      return { width, height, data };
    } finally {
      converted.free();
    }
  }
}

/** Whether chroma is stored at half the resolution both ways, as most JPEG and WebP files do. */
function subsampled(pixelFormat: string | null): boolean {
  return pixelFormat === "yuvj420p" || pixelFormat === "yuv420p";
}
