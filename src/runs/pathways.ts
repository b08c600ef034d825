import type { z } from "zod";
import type { KeptRanges, LayerRange } from "../engine/jobs.ts";
import { keptRanges, type RunEventOf } from "./events.ts";

type Result = RunEventOf<"branch.result">;

/** Series of a pathway, of its random control, and of all that a search tried. */
export const PATHWAY_SERIES = "Effective pathways";
export const RANDOM_SERIES = "Random edges";
export const TRIED_SERIES = "Pathways tried";

/** Kept ranges as events hold them: a family that keeps nothing is null. */
export type NamedRanges = z.infer<typeof keptRanges>;

/** One pathway that was run, on the two axes of the curve. */
export interface PathwayPoint {
  readonly ranges: NamedRanges;
  /** Share of the attention edges left, of 1. */
  readonly edgesLeft: number;
  /** Probability of the clean answer, as a share of the clean run's. */
  readonly share: number;
  readonly result: Result;
}

/** Kept ranges with every family named. */
export function namedRanges(kept: KeptRanges): NamedRanges {
  const named = (range: LayerRange | undefined): [number, number] | null =>
    range === undefined ? null : [range[0], range[1]];
  return {
    crossFrame: named(kept.crossFrame),
    videoToQuestion: named(kept.videoToQuestion),
    questionToLast: named(kept.questionToLast),
  };
}

/** Whether a pathway keeps the answer: enough of its probability, and no other token is likelier. */
export function keepsAnswer(
  result: Pick<Result, "base_score" | "new_score" | "base_answer" | "new_answer">,
  keepShare: number,
): boolean {
  const { base_score, new_score, base_answer, new_answer } = result;
  return new_answer === base_answer && new_score >= keepShare * base_score;
}

/** Results of a search's series as points; what does not say its ranges is left out. */
export function pathwayPoints(results: readonly Result[]): PathwayPoint[] {
  return results.flatMap((result) => {
    const ranges = keptRanges.safeParse(result.detail);
    if (!ranges.success || result.edges_left === undefined) return [];
    const share = result.base_score > 0 ? result.new_score / result.base_score : 0;
    return [{ ranges: ranges.data, edgesLeft: result.edges_left, share, result }];
  });
}

/**
 * The curve: points that keep more than every point with as few edges, by edges left. Each is the most
 * that was found to be kept with its edges, not the most that can be.
 */
export function bestForEdges(points: readonly PathwayPoint[]): PathwayPoint[] {
  const sorted = points.toSorted((a, b) => a.edgesLeft - b.edgesLeft || b.share - a.share);
  let most = Number.NEGATIVE_INFINITY;
  return sorted.filter(({ share }) => {
    const better = share > most;
    if (better) most = share;
    return better;
  });
}
