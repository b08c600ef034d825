/**
 * Sampled frames, numbered from 1, that a frame of the token grid covers: "Frame 3", or "Frames 5-6"
 * where a model makes one grid of several frames.
 *
 * @param gridFrame from 0, of `gridFrames`; `frames` were sampled.
 */
export function coveredFrames(gridFrame: number, gridFrames: number, frames: number): string {
  if (gridFrames <= 0 || frames <= gridFrames) return `Frame ${gridFrame + 1}`;
  const first = Math.floor((gridFrame * frames) / gridFrames) + 1;
  const last = Math.ceil(((gridFrame + 1) * frames) / gridFrames);
  return first === last ? `Frame ${first}` : `Frames ${first}-${last}`;
}
