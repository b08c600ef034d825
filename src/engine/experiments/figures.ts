import type { BranchFigures } from "../../protocol/events.ts";

/** Probabilities at the last position of one run. */
export interface LastReading {
  /** The likeliest token. */
  readonly answerId: number;
  readonly answer: string;
  /** Probability of a token that was asked for. */
  probabilityOf(tokenId: number): number;
}

/**
 * An intervened run beside the clean one, as METHODS.md defines the figures: scores are softmax
 * probabilities over the whole vocabulary, differences are in percent of the clean score.
 *
 * @param truthId token of the right answer; absent when it is unknown.
 */
export function compareToClean(
  clean: LastReading,
  intervened: LastReading,
  truthId: number | undefined,
): BranchFigures {
  const base = clean.probabilityOf(clean.answerId);
  const now = intervened.probabilityOf(clean.answerId);
  const truth = truthId === undefined ? null : clean.probabilityOf(truthId);
  const truthNow = truthId === undefined ? null : intervened.probabilityOf(truthId);
  return {
    base_score: base,
    new_score: now,
    relative_diff: relativeDifference(base, now) ?? 0,
    gt_score: truth,
    new_score_gt: truthNow,
    relative_diff_gt:
      truth === null || truthNow === null ? null : relativeDifference(truth, truthNow),
    base_answer: clean.answer,
    new_answer: intervened.answer,
  };
}

/** The smallest fp32 number with all its digits. */
const LEAST_NORMAL = 2 ** -126;

/** 100 · (now - base) / base; null where the base is so small that fp32 has no digits for it. */
function relativeDifference(base: number, now: number): number | null {
  return base >= LEAST_NORMAL ? (100 * (now - base)) / base : null;
}
