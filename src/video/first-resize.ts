/**
 * The resize that the reference's processor (PLLaVA's `resize_crop_longshort`) puts before the
 * checkpoint's own: down to a longer side of 640 pixels, or up to the model's side. So a large frame is
 * resized twice.
 */
import type { Size } from "./types.ts";

/** The reference's first resize, before a clip's frames are known. Its filter is always bicubic. */
export interface FirstResize {
  /** Pixels. The longer side is at most this, unless the shorter one would fall below `shortest`. */
  readonly longestAtMost: number;
  /** Pixels. The shorter side of the resize that follows. */
  readonly shortest: number;
}

/** The same for one clip: the shorter side becomes `edge`; of the longer one a part is kept. */
export interface ClipResize {
  readonly edge: number;
  /** The side that is cut, where the clip's first frame is the longer. */
  readonly along: "width" | "height";
  readonly from: number;
  readonly to: number;
}

/**
 * The first resize of a clip. As in the reference, all follows the clip's first frame: an edge in
 * whole pixels by way of the ratio of its sides, and a cut to the length that this ratio gives, which
 * by rounding may be a pixel shorter than what the resize gives.
 */
export function firstResizeOf(first: Size, { longestAtMost, shortest }: FirstResize): ClipResize {
  const [short, long] = [Math.min(first.width, first.height), Math.max(first.width, first.height)];
  const ratio = long / short;
  const fitting = Math.trunc(Math.min(longestAtMost, long) / ratio);
  const edge = Math.max(Math.min(short, fitting), shortest);
  const resized = Math.trunc((edge * long) / short);
  const kept = Math.trunc(edge * ratio);
  const from = Math.floor(Math.floor((resized - kept) / 2) / 2);
  return { edge, along: first.height > first.width ? "height" : "width", from, to: from + kept };
}
