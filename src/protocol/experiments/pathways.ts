import { RUN_LIMITS } from "../limits.ts";
import { DEFAULT_RANDOM_SEED, PRESET_NAMES, presetFits, presetRanges } from "../presets.ts";
import type { ExperimentDescriptor, Parameter } from "./descriptor.ts";
import {
  KEPT_TITLES,
  keptText,
  layerRangeText,
  parseChoice,
  parseKept,
  parseWhole,
  single,
} from "./parameters.ts";
import type { KeptRanges } from "./schemas.ts";

const NOTHING: KeptRanges = {
  crossFrame: undefined,
  videoToQuestion: undefined,
  questionToLast: undefined,
};

const readPreset = (values: readonly string[], layers: number): KeptRanges =>
  presetRanges(parseChoice(single(values), PRESET_NAMES, "the preset"), layers);

/** Says that a preset is used at another depth than its model's. */
function scaled(values: readonly string[], layers: number): string | undefined {
  const name = parseChoice(single(values), PRESET_NAMES, "the preset");
  return presetFits(name, layers)
    ? undefined
    : `the ranges of ${name} are scaled to this model's ${layers} layers`;
}

/** Ranges of the user's own; read before `PRESET`, which wins where it is given. */
export const KEEP: Parameter<KeptRanges> = {
  flag: "keep",
  value: "RANGES",
  title: "layers in which each family of edges is kept",
  input: { kind: "text", prompt: "Layers that are kept; a family that is not named keeps nothing" },
  initial: ({ layers }) => [keptText(presetRanges("llava-next-7b", layers))],
  read: (values, { layers }) => ({ ...NOTHING, ...parseKept(single(values), layers) }),
  excludes: ["preset"],
};

export const PRESET: Parameter<KeptRanges> = {
  flag: "preset",
  value: PRESET_NAMES.join("|"),
  title: "ranges of one of the paper's models (llava-next-7b)",
  initial: () => [],
  read: (values, { layers }) => readPreset(values, layers),
  note: (values, { layers }) => scaled(values, layers),
};

export const RANDOM: Parameter<{ randomSeed?: number | undefined }> = {
  flag: "random",
  value: "SEED",
  title: "seed of the random control",
  initial: () => [String(DEFAULT_RANDOM_SEED)],
  read: (values) => ({ randomSeed: parseWhole(single(values), "the seed", 0, RUN_LIMITS.seed) }),
};

const familyPhrases = (kept: KeptRanges) =>
  (["crossFrame", "videoToQuestion", "questionToLast"] as const).map((family) => {
    const range = kept[family];
    const where = range === undefined ? "not kept" : `kept in layers ${layerRangeText(range)}`;
    return `${KEPT_TITLES[family]} ${where}`;
  });

export const PATHWAYS: ExperimentDescriptor<"pathways"> = {
  kind: "pathways",
  title: "Effective Pathways",
  command: "pathways",
  commandId: "pathways",
  summary: "the effective pathways alone, against as many edges cut at random",
  about:
    "Keeps only the pathway's attention edges and cuts the rest; beside it, as many edges are cut at\n" +
    "random. RANGES are layers counted from 1: cross-frame=6-15,video-question=6-20,question-last=16-25.\n" +
    "With --find, the ranges with the fewest edges that keep the answer are searched for.",
  parameters: [KEEP, PRESET, RANDOM],
  layout: "edges-left",
  view: "pathways",
  recipe: ({ crossFrame, videoToQuestion, questionToLast, randomSeed }) => ({
    crossFrame,
    videoToQuestion,
    questionToLast,
    randomSeed,
  }),
  phrases: (recipe) => [
    ...familyPhrases(recipe),
    ...(recipe.edgesLeft === undefined
      ? []
      : [`${(100 * recipe.edgesLeft).toFixed(1)} % of the edges left`]),
    recipe.randomSeed === undefined
      ? "no random control"
      : `random control of seed ${recipe.randomSeed}`,
  ],
  variant: (recipe) =>
    keptText(recipe) + (recipe.randomSeed === undefined ? "" : `, seed ${recipe.randomSeed}`),
};
