/**
 * Upper bounds of what a run file or a request may state. Each lies far above any model, clip or prompt there is,
 * and low enough that a table with a row for each thing counted fits in memory. A run file comes from
 * anywhere; what passes these bounds is refused where it is read.
 */
export const RUN_LIMITS = {
  /** Decoder layers; the deepest published ones have 126. */
  layers: 512,
  /** Attention heads of a layer, key heads alike; 128 today. */
  heads: 1_024,
  hiddenSize: 1_048_576,
  vocabSize: 16_777_216,
  /** Positions of a prompt, and cells of the token grid. */
  positions: 1_048_576,
  /** Sampled frames. */
  frames: 16_384,
  /** Side of a frame, in pixels. */
  side: 1_048_576,
  /** Frames of a clip; 2^31 are two years of video. */
  clipFrames: 2_147_483_648,
  /** Options of a question. */
  options: 256,
  /** Tokens listed as the likeliest. */
  top: 1_024,
  /** Token groups: a few, and one for each frame, option and keyword. */
  groups: 32_768,
  /** Branches of an experiment: every head at every layer is half of it. */
  branches: 1_048_576,
  /** Extents of a tensor. */
  rank: 8,
  extent: 16_777_216,
  /** Names, paths, labels, texts of tokens; in characters. */
  name: 65_536,
  /** A prompt, a generated text, a message; in characters. */
  text: 8_388_608,
  /** A small picture of a frame, as base64. */
  picture: 16_777_216,
  /** Seed of a random control. */
  seed: 4_294_967_295,
  /** Pathways that a search tries. */
  candidates: 100_000,
  /** Tokens generated, and cuts that they are generated under. */
  generated: 4_096,
  cuts: 1_024,
} as const;
