import { InputError } from "../../common/errors.ts";
import { RUN_LIMITS } from "../limits.ts";
import { PATHWAY_SERIES } from "../pathways.ts";
import type { ExperimentDescriptor, Parameter } from "./descriptor.ts";
import {
  CUT_CHOICES,
  cutName,
  keptText,
  LAYERS,
  layerSpansText,
  PATHWAY_CUTS,
  parseGroups,
  parseLayerRange,
  parseWhole,
  single,
} from "./parameters.ts";
import { KEEP, PRESET } from "./pathways.ts";
import type { GenerationCut, KeptRanges, LayerRange, RequestOf } from "./schemas.ts";

/** Tokens generated where none are asked for. */
const DEFAULT_TOKENS = 32;

type Request = RequestOf<"generation">;

/**
 * `FROM:TO` or `FROM:TO:A-B` as a cut, in all layers where none are named.
 *
 * @throws InputError when it cannot be read.
 */
function parseCut(text: string, layers: number): GenerationCut {
  // Names of groups hold colons themselves (option:A, frame:1), so the layers are taken from the end.
  const [, groups, range] = text.match(/^(.*?)(?::(\d+(?:-\d+)?))?$/) ?? [];
  const named = groups === undefined ? undefined : (parseGroups(groups) ?? parseGroups(text));
  const whole: LayerRange = [0, layers - 1];
  if (named === undefined) {
    throw new InputError(
      `"${text}" is not a cut; write FROM:TO or FROM:TO:A-B, as video:last:1-12`,
    );
  }
  const kept = parseGroups(groups ?? "") === undefined ? undefined : range;
  return {
    name: cutName(named),
    ...named,
    layers: kept === undefined ? whole : parseLayerRange(kept, layers),
  };
}

/** Adds a cut that keeps only a pathway to those before it. */
function keeping(parameter: Parameter<KeptRanges>): Parameter<Request> {
  const { flag, value, title, excludes = [] } = parameter;
  return {
    flag,
    value,
    title,
    excludes,
    initial: () => [],
    read: (values, setting, { cuts = [] }) => {
      const pathways = parameter.read(values, setting, {});
      return { cuts: [...cuts, { name: PATHWAY_SERIES, pathways }] };
    },
    ...(parameter.note === undefined ? {} : { note: parameter.note }),
  };
}

/** A cut as a phrase: "video -/-> last in layers 3-9". */
function cutPhrase(cut: GenerationCut): string {
  return "pathways" in cut
    ? `${cut.name} (${keptText(cut.pathways)})`
    : `${cut.name} in ${layerSpansText([[cut.layers[0], cut.layers[1] + 1]])}`;
}

export const GENERATION: ExperimentDescriptor<"generation"> = {
  kind: "generation",
  title: "Generation Under Cuts",
  command: "generate",
  commandId: "generation",
  summary: "the answer in words, clean and under cuts",
  about:
    "Decodes the answer greedily, clean and with cuts in force at every step. A cut goes from a token\n" +
    "group to another (video:last, question:last, cross-frame:cross-frame), over layers counted from 1.",
  parameters: [
    {
      flag: "max-tokens",
      value: "N",
      title: "tokens at most",
      initial: () => [String(DEFAULT_TOKENS)],
      read: (values) => ({
        maxTokens: parseWhole(single(values), "the number of tokens", 1, RUN_LIMITS.generated),
      }),
    },
    {
      flag: "cut",
      value: "FROM:TO[:A-B]",
      title: "cuts, each a run of its own",
      many: true,
      input: { kind: "pick", choices: () => CUT_CHOICES, suggested: PATHWAY_CUTS },
      initial: () => [],
      read: (values, { layers }) => ({ cuts: values.map((text) => parseCut(text, layers)) }),
    },
    {
      ...LAYERS,
      title: "layers of the cuts that name none, counted from 1",
      read: (values, { layers }, { cuts = [] }) => {
        const range = parseLayerRange(single(values), layers);
        const isWhole = (cut: GenerationCut) =>
          "layers" in cut && cut.layers[0] === 0 && cut.layers[1] === layers - 1;
        return { cuts: cuts.map((cut) => (isWhole(cut) ? { ...cut, layers: range } : cut)) };
      },
    },
    keeping(KEEP),
    keeping(PRESET),
  ],
  layout: "generation",
  view: "generation",
  recipe: ({ maxTokens, cuts }) => ({ maxTokens, cuts }),
  phrases: ({ maxTokens, cuts }) => [
    `at most ${maxTokens} tokens, greedy`,
    cuts.length === 0 ? "no cuts" : `cuts: ${cuts.map(cutPhrase).join("; ")}`,
  ],
  variant: ({ cuts }) => (cuts.length === 0 ? "clean" : cuts.map(({ name }) => name).join(", ")),
};
