import type { ExperimentRequest, KeptRanges, LayerRange } from "./experiments/schemas.ts";

export type SearchRequest = Extract<ExperimentRequest, { kind: "pathway-search" }>;

interface Preset {
  /** Decoder layers of the paper's model. */
  readonly layers: number;
  /** Ranges as the paper's table gives them: counted from 1, inclusive. */
  readonly crossFrame: LayerRange;
  readonly videoToQuestion: LayerRange;
  readonly questionToLast: LayerRange;
}

/** Effective pathways of the paper's models (METHODS.md, "Effective pathways"). */
const PRESETS = {
  "llava-next-7b": {
    layers: 32,
    crossFrame: [6, 15],
    videoToQuestion: [6, 20],
    questionToLast: [16, 25],
  },
  "llava-next-13b": {
    layers: 40,
    crossFrame: [6, 15],
    videoToQuestion: [6, 20],
    questionToLast: [16, 30],
  },
  "mini-internvl-4b": {
    layers: 32,
    crossFrame: [6, 15],
    videoToQuestion: [6, 20],
    questionToLast: [11, 30],
  },
  "videollama3-7b": {
    layers: 28,
    crossFrame: [1, 15],
    videoToQuestion: [6, 20],
    questionToLast: [21, 28],
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;
export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];

/** Seed of the random control where the user chooses none; the same everywhere, so runs compare. */
export const DEFAULT_RANDOM_SEED = 0;

/** Share of the clean probability that a search for a pathway keeps, where the user chooses none. */
export const DEFAULT_KEEP_SHARE = 0.9;
/** Shares that it can be asked to keep. */
export const KEEP_SHARES = { min: 0.5, max: 1 } as const;
/** Pathways it tries at most: enough to come to its end by itself on 40 layers. */
export const DEFAULT_MAX_CANDIDATES = 400;

/** The search for the smallest pathway that keeps a share of the answer's probability. */
export function pathwaySearch(keepShare: number): SearchRequest {
  return {
    kind: "pathway-search",
    keepShare,
    maxCandidates: DEFAULT_MAX_CANDIDATES,
    randomSeed: DEFAULT_RANDOM_SEED,
  };
}

/** Whether the paper's ranges are those of a decoder this deep, or have to be scaled to it. */
export function presetFits(name: PresetName, layers: number): boolean {
  return PRESETS[name].layers === layers;
}

/** A preset's ranges at a model's depth: as in the paper, or scaled to as large a share of it. */
export function presetRanges(name: PresetName, layers: number): Required<KeptRanges> {
  const preset = PRESETS[name];
  const scaled = ([first, last]: LayerRange): LayerRange => {
    const at = (layer: number) => Math.round((layer / preset.layers) * layers);
    const start = Math.min(layers - 1, at(first - 1));
    return [start, Math.max(start, Math.min(layers, at(last)) - 1)];
  };
  return {
    crossFrame: scaled(preset.crossFrame),
    videoToQuestion: scaled(preset.videoToQuestion),
    questionToLast: scaled(preset.questionToLast),
  };
}
