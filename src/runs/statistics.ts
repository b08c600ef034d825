import type { RunEvent, RunEventOf } from "../protocol/events.ts";
import type { SampleMode } from "./records.ts";

/** Half width of a 95 % interval of a mean, in standard errors (normal approximation). */
const STANDARD_ERRORS = 1.96;

/** One series at one centre over many clips (METHODS.md, "Attention knockout": over a data set). */
export interface SweepPoint {
  readonly series: string;
  readonly layer: number;
  /** Clips counted. */
  readonly clips: number;
  /** Mean change of the clean answer's probability in percent, and the half width of its 95 % interval. */
  readonly meanRelativeDiff: number;
  readonly interval: number;
  /** Share of the clips whose intervened answer is the right one, of 1. */
  readonly accuracy: number;
}

/** A data set's sweep, and how well the clean runs answer. */
export interface SweepStatistics {
  readonly clips: number;
  /** Share of all clips with a known answer that the clean run answers rightly, of 1. */
  readonly cleanAccuracy: number;
  readonly points: readonly SweepPoint[];
}

/**
 * Means over runs of the same experiment on different clips.
 *
 * @param runs each run's events; runs without a known right answer are left out.
 * @param samples which runs the points are over: by the clean answer being right (`correct`) or not.
 */
export function sweepStatistics(
  runs: readonly (readonly RunEvent[])[],
  samples: SampleMode,
): SweepStatistics {
  const judged = runs.flatMap((events) => {
    const answer = events.find((event) => event.type === "answer");
    return answer?.correct === undefined ? [] : [{ events, answer, correct: answer.correct }];
  });
  const right = judged.filter(({ correct }) => correct).length;
  const chosen = judged.filter(
    ({ correct }) => samples === "all" || correct === (samples === "correct"),
  );
  const groups = new Map<string, { result: BranchResult; truth: string | undefined }[]>();
  for (const { events, answer } of chosen) {
    for (const event of events) {
      if (event.type !== "branch.result") continue;
      const key = JSON.stringify([event.series, event.layer]);
      const group = groups.get(key) ?? [];
      group.push({ result: event, truth: answer.groundTruth?.token });
      groups.set(key, group);
    }
  }
  return {
    clips: judged.length,
    cleanAccuracy: judged.length === 0 ? 0 : right / judged.length,
    points: [...groups.values()].flatMap((group) => point(group)),
  };
}

type BranchResult = RunEventOf<"branch.result">;

function point(
  group: readonly { readonly result: BranchResult; readonly truth: string | undefined }[],
): SweepPoint[] {
  const [first] = group;
  if (first === undefined) return [];
  const changes = group.map(({ result }) => result.relative_diff);
  const mean = changes.reduce((sum, change) => sum + change, 0) / changes.length;
  const squares = changes.reduce((sum, change) => sum + (change - mean) ** 2, 0);
  const deviation = changes.length > 1 ? Math.sqrt(squares / (changes.length - 1)) : 0;
  const right = group.filter(({ result, truth }) => result.new_answer === truth).length;
  return [
    {
      series: first.result.series,
      layer: first.result.layer,
      clips: changes.length,
      meanRelativeDiff: mean,
      interval: (STANDARD_ERRORS * deviation) / Math.sqrt(changes.length),
      accuracy: right / group.length,
    },
  ];
}
