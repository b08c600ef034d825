import type { RunEventOf } from "./events.ts";
import type { KeptRanges, LayerRange, NamedRanges, ResultDetail } from "./experiments/schemas.ts";

type Result = RunEventOf<"branch.result">;

/** Series of a pathway, of its random control, and of all that a search tried. */
export const PATHWAY_SERIES = "Effective pathways";
export const RANDOM_SERIES = "Random edges";
export const TRIED_SERIES = "Pathways tried";

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

/** Kept ranges out of a result's detail; undefined where it does not say them. */
function rangesOf(detail: ResultDetail = {}): NamedRanges | undefined {
  const { crossFrame, videoToQuestion, questionToLast } = detail;
  if (crossFrame === undefined || videoToQuestion === undefined || questionToLast === undefined) {
    return undefined;
  }
  return { crossFrame, videoToQuestion, questionToLast };
}

/** Results of a search's series as points; what does not say its ranges is left out. */
export function pathwayPoints(results: readonly Result[]): PathwayPoint[] {
  return results.flatMap((result) => {
    const { detail, edges_left: edgesLeft } = result;
    const ranges = rangesOf(detail);
    if (edgesLeft === undefined || ranges === undefined) return [];
    return [{ ranges, edgesLeft, share: keptShare(result), result }];
  });
}

/** Probability of the clean answer, as a share of the clean run's. */
export function keptShare({ base_score, new_score }: Pick<Result, "base_score" | "new_score">) {
  return base_score > 0 ? new_score / base_score : 0;
}

/**
 * The curve: points that keep more than every point with as few edges, by edges left. Each is the most
 * that was found to be kept with its edges, not the most that can be.
 */
export function bestForEdges<P extends Pick<PathwayPoint, "edgesLeft" | "share">>(
  points: readonly P[],
): P[] {
  const sorted = points.toSorted((a, b) => a.edgesLeft - b.edgesLeft || b.share - a.share);
  let most = Number.NEGATIVE_INFINITY;
  return sorted.filter(({ share }) => {
    const better = share > most;
    if (better) most = share;
    return better;
  });
}
