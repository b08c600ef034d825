import { InputError } from "../../common/errors.ts";
import type { WindowStyle } from "../../protocol/vocabulary.ts";

/**
 * The layers a sweep cuts around a centre (METHODS.md, "Attention knockout").
 *
 * @param centre 0 … L-1
 * @param width w; `top_down` and `bottom_up` do not use it.
 */
export function windowLayers(
  style: WindowStyle,
  centre: number,
  width: number,
  layers: number,
): Set<number> {
  if (!Number.isInteger(width) || width < 1) {
    throw new InputError(`a window of ${width} layers cannot be cut; it needs 1 or more`);
  }
  const first = Math.max(0, centre - Math.floor(width / 2));
  const end = Math.min(layers, centre + Math.ceil(width / 2));
  const all = Array.from({ length: layers }, (_, layer) => layer);
  const chosen: Record<WindowStyle, (layer: number) => boolean> = {
    center: (layer) => layer >= first && layer < end,
    inverse: (layer) => layer < first || layer >= end,
    top_down: (layer) => layer >= centre,
    bottom_up: (layer) => layer <= centre,
  };
  return new Set(all.filter(chosen[style]));
}
