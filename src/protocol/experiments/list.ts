import type { ExperimentDescriptor } from "./descriptor.ts";
import { EXIT } from "./exit.ts";
import { FRAME_PAIRS } from "./frame-pairs.ts";
import { GENERATION } from "./generation.ts";
import { HEADS } from "./heads.ts";
import { KEYWORD } from "./keyword.ts";
import { KNOCKOUT } from "./knockout.ts";
import { PATHWAY_SEARCH } from "./pathway-search.ts";
import { PATHWAYS } from "./pathways.ts";
import type { ExperimentKind, RecipeOf, RequestOf } from "./schemas.ts";
import { WHAT_IF } from "./what-if.ts";

/** Every kind of experiment; the palette, the command line, resume and the panel go by this list. */
export const EXPERIMENTS: { readonly [K in ExperimentKind]: ExperimentDescriptor<K> } = {
  knockout: KNOCKOUT,
  pathways: PATHWAYS,
  "pathway-search": PATHWAY_SEARCH,
  heads: HEADS,
  "frame-pairs": FRAME_PAIRS,
  keyword: KEYWORD,
  "what-if": WHAT_IF,
  exit: EXIT,
  generation: GENERATION,
};

/** An experiment of a run file, as far as the descriptor is asked about it. */
export type Recorded = {
  [K in ExperimentKind]: { readonly kind: K; readonly recipe: RecipeOf<K> };
}[ExperimentKind];

/** The descriptor of a kind that is known by its name only. */
export function descriptorOf<K extends ExperimentKind>(kind: K): ExperimentDescriptor<K> {
  return EXPERIMENTS[kind] as unknown as ExperimentDescriptor<K>;
}

/** The recipe of a request, as far as it is known before the model is asked. */
export function recipeOf<K extends ExperimentKind>(
  request: RequestOf<K> & { readonly kind: K },
  layers: number,
): Partial<RecipeOf<K>> {
  return descriptorOf(request.kind).recipe(request, layers);
}

/** The recipe under a figure, as short phrases. */
export function recipePhrases(recorded: Recorded): readonly string[] {
  return descriptorOf(recorded.kind).phrases(recorded.recipe);
}

/** What tells an experiment from others of its kind: "center, w 9". */
export function experimentVariant(recorded: Recorded): string {
  return descriptorOf(recorded.kind).variant(recorded.recipe);
}

/**
 * Reads a request from the values of its parameters.
 *
 * @param valuesOf the values given for a flag; undefined takes the initial ones.
 * @throws InputError when a value cannot be read.
 */
export function requestFrom<K extends ExperimentKind>(
  kind: K,
  setting: Parameters<ExperimentDescriptor<K>["parameters"][number]["initial"]>[0],
  valuesOf: (flag: string) => readonly string[] | undefined,
): RequestOf<K> {
  let request: Partial<RequestOf<K>> = {};
  for (const parameter of descriptorOf(kind).parameters) {
    const values = valuesOf(parameter.flag) ?? parameter.initial(setting);
    if (values.length === 0 && parameter.many !== true) continue;
    request = { ...request, ...parameter.read(values, setting, request) };
  }
  return { ...request, kind } as RequestOf<K>;
}
