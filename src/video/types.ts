/** What is known of a clip before any of its frames is chosen. */
export interface VideoInfo {
  readonly path: string;
  /** Pixels, after the clip's rotation is applied. For a folder of images: its first image's. */
  readonly width: number;
  readonly height: number;
  /** Frames that decoding the whole clip would present; images for a folder. */
  readonly frameCount: number;
  /** Average frames per second; null when nothing tells (a folder of images, a single frame). */
  readonly fps: number | null;
  readonly durationSeconds: number | null;
  /** FFmpeg's name of the codec, such as "h264" or "vp9"; "png", "jpeg", … for a folder. */
  readonly codec: string;
  readonly container: "mp4" | "mov" | "webm" | "mkv" | "avi" | "gif" | "folder";
}

/** Pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** One decoded picture: 8-bit RGB, row-major, three bytes a pixel, no padding between rows. */
export interface RgbImage extends Size {
  /** `height * width * 3` bytes. */
  readonly data: Uint8Array;
}

/** A chosen frame of a clip. */
export interface RgbFrame extends RgbImage {
  /** Place in presentation order (in file order for a folder), from 0. */
  readonly index: number;
  /**
   * Seconds on the clock a player shows, whose zero is the earliest start of the file's streams;
   * null when there is no clock (a folder of images without a frame rate).
   */
  readonly timestampSeconds: number | null;
}

/** Chosen frames of a clip, or what was kept of each. */
export interface SampledVideo<T = RgbFrame> {
  readonly info: VideoInfo;
  /** As many as were asked for, in order; a frame that is chosen twice is there twice. */
  readonly frames: readonly T[];
  /** What a user should know of the file or of the choice; the frames can be used all the same. */
  readonly remarks: readonly string[];
}

/** What becomes of each chosen frame, given how many there are: called once before the first. */
export type KeepFrames<T> = (count: number) => (frame: RgbFrame) => T;

export interface SampleOptions {
  /** How many frames the model is given; without meaning where a `rule` chooses them. */
  readonly frames: number;
  /** Seconds; the part of the clip to look at. Left out: from its first, to its last frame. */
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  /** Frames per second of a folder of images, which has no rate of its own. */
  readonly fps?: number | undefined;
  /** Chooses frames by another rule than the reference's; as many as it gives are decoded. */
  readonly rule?: FrameRule | undefined;
}

/**
 * Numbers of the chosen frames, of so many, in the part from `start` to `end` (seconds) of a video file,
 * or of a folder of images.
 */
export type FrameRule = (
  total: number,
  fps: number | null,
  start: number | undefined,
  end: number | undefined,
  folder: boolean,
) => number[];
