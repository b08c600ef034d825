/**
 * The largest numbers that a model's and a processor's files may hold: several times what the largest
 * published models have. Larger is a damaged file, and is refused before anything is made from it.
 */
export const LIMITS = {
  /** Elements of a residual row, and of the row inside an MLP. */
  width: 131_072,
  inner: 1_000_000,
  layers: 512,
  heads: 1_024,
  headDim: 4_096,
  vocabulary: 4_000_000,
  /** Positions that a model was trained for. */
  positions: 1_000_000_000,
  /** Of a picture and a patch, in pixels. */
  pictureSide: 16_384,
  patchSide: 1_024,
  /** Pixels of a prepared frame, or of all frames together where they share a bound. */
  pixels: 1_000_000_000,
  /** Frames of a clip. */
  frames: 16_384,
  /** Of a token grid: rows or columns, patches merged along a side, or a pooling's stride. */
  gridSide: 4_096,
} as const;
