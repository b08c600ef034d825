import type { LayerRange, NamedRanges } from "../src/protocol/experiments/schemas.ts";
import {
  keptShare,
  namedRanges,
  PATHWAY_SERIES,
  pathwayPoints,
  RANDOM_SERIES,
  TRIED_SERIES,
} from "../src/protocol/pathways.ts";
import { layerRange, percent, visibleToken } from "./dom.ts";
import type { BranchResult, ExperimentState, Store } from "./store.ts";

export type Family = keyof NamedRanges;

export const FAMILIES: readonly { key: Family; title: string }[] = [
  { key: "crossFrame", title: "Cross-frame" },
  { key: "videoToQuestion", title: "Video → question" },
  { key: "questionToLast", title: "Question → last" },
];

/** Where a trial comes from: the sliders, or a search, which tries many and finds one. */
export type Origin = "chosen" | "tried" | "found";

/** One pathway that was run: what was kept, and what came of it. */
export interface Trial {
  readonly origin: Origin;
  readonly ranges: NamedRanges;
  readonly edgesLeft: number;
  /** Probability of the clean answer, as a share of the clean run's. */
  readonly share: number;
  readonly kept: BranchResult;
  readonly random: BranchResult | undefined;
}

/** Every pathway of a run that was run, in the order of their experiments. */
export function trialsOf(store: Store): Trial[] {
  return [...store.experiments.values()].flatMap((experiment) => {
    if (experiment.kind === "pathways") return chosenTrial(experiment) ?? [];
    return experiment.kind === "pathway-search" ? searchTrials(experiment) : [];
  });
}

/** A search among a run's experiments. */
export type SearchState = ExperimentState & { readonly kind: "pathway-search" };

/** The searches of a run, in order. */
export function searchesOf(store: Store): SearchState[] {
  return [...store.experiments.values()].filter((each) => each.kind === "pathway-search");
}

/** What one search tried, and what it found after it. */
export function searchTrials({ series }: ExperimentState): Trial[] {
  const results = (name: string) => series.get(name)?.results ?? [];
  const trials = (origin: Origin, name: string, random: BranchResult | undefined) =>
    pathwayPoints(results(name)).map(
      ({ ranges, edgesLeft, share, result: kept }): Trial => ({
        ...{ origin, ranges, edgesLeft, share, kept },
        random,
      }),
    );
  return [
    ...trials("tried", TRIED_SERIES, undefined),
    ...trials("found", PATHWAY_SERIES, results(RANDOM_SERIES).at(-1)).slice(-1),
  ];
}

function chosenTrial({
  series,
  recipe,
}: ExperimentState & { readonly kind: "pathways" }): Trial | undefined {
  const [first, second] = [...series.values()];
  const kept = first?.results[0];
  if (kept === undefined) return undefined;
  return {
    origin: "chosen",
    ranges: namedRanges(recipe),
    edgesLeft: kept.edges_left ?? recipe.edgesLeft ?? Number.NaN,
    share: keptShare(kept),
    kept,
    random: second?.results[0],
  };
}

/** Layers for people, counted from 1. */
export function rangeText(range: LayerRange | null): string {
  return range === null ? "none" : layerRange([range[0], range[1] + 1]);
}

/** A pathway in words: "cross-frame 3-6, video → question none, question → last 7-9". */
export function rangesText(ranges: NamedRanges): string {
  return FAMILIES.map(({ key, title }) => `${title.toLowerCase()} ${rangeText(ranges[key])}`).join(
    ", ",
  );
}

/** A trial in a few short lines. */
export function trialLines({ ranges, edgesLeft, share, kept }: Trial): string[] {
  return [
    `${percent(edgesLeft)} of the edges, ${percent(share)} of the probability kept`,
    ...FAMILIES.map(({ key, title }) => `${title}: ${rangeText(ranges[key])}`),
    `answer ${visibleToken(kept.new_answer)}`,
  ];
}
