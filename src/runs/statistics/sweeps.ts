import type { RunEvent, RunEventOf } from "../../protocol/events.ts";
import type { SampleMode } from "../records.ts";
import { type MeanInterval, meanInterval } from "./intervals.ts";
import { type Proportion, proportion } from "./proportions.ts";
import { discoveries, isNoEffect } from "./tests.ts";

/** One series at one centre over many questions (METHODS.md, "Over a data set"). */
export interface SweepPoint {
  readonly series: string;
  readonly layer: number;
  /** Change of the clean answer's probability in percent. */
  readonly change: MeanInterval;
  /** Whether it differs from zero, among all points of the sweep (false discovery rate 5 %). */
  readonly significant: boolean;
  /** Whether its interval lies within 1 percent of zero. */
  readonly noEffect: boolean;
  /** Intervened answers that are the right one. */
  readonly accuracy: Proportion;
}

/** A data set's sweep, and how well the clean runs answer. */
export interface SweepStatistics {
  /** Runs with a known right answer, and how many of them the clean run answers rightly. */
  readonly clean: Proportion;
  readonly points: readonly SweepPoint[];
}

type BranchResult = RunEventOf<"branch.result">;

interface Measured {
  readonly result: BranchResult;
  readonly truth: string | undefined;
  /** The source video: questions on one are not independent. */
  readonly source: string;
}

/**
 * Means over runs of the same experiment on different questions.
 *
 * @param runs each run's events; runs without a known right answer are left out.
 * @param samples which runs the points are over: by the clean answer being right (`correct`) or not.
 */
export function sweepStatistics(
  runs: readonly (readonly RunEvent[])[],
  samples: SampleMode,
): SweepStatistics {
  const judged = runs.flatMap((events, index) => {
    const answer = events.find((event) => event.type === "answer");
    if (answer?.correct === undefined) return [];
    const started = events.find((event) => event.type === "run.started");
    const source = started?.video.path ?? `run ${index}`;
    return [{ events, answer, correct: answer.correct, source }];
  });
  const right = judged.filter(({ correct }) => correct).length;
  const chosen = judged.filter(
    ({ correct }) => samples === "all" || correct === (samples === "correct"),
  );
  const groups = new Map<string, Measured[]>();
  for (const { events, answer, source } of chosen) {
    for (const event of events) {
      if (event.type !== "branch.result") continue;
      const key = JSON.stringify([event.series, event.layer]);
      const group = groups.get(key) ?? [];
      group.push({ result: event, truth: answer.groundTruth?.token, source });
      groups.set(key, group);
    }
  }
  const points = [...groups.values()].flatMap(pointOf);
  const significant = discoveries(points.map(({ change }) => change.p));
  return {
    clean: proportion(right, judged.length),
    points: points.map((point, i) => ({ ...point, significant: significant[i] === true })),
  };
}

function pointOf(group: readonly Measured[]): Omit<SweepPoint, "significant">[] {
  const [first] = group;
  if (first === undefined) return [];
  const bySource = new Map<string, number[]>();
  for (const { source, result } of group) {
    bySource.set(source, [...(bySource.get(source) ?? []), result.relative_diff]);
  }
  const change = meanInterval([...bySource.values()]);
  const right = group.filter(({ result, truth }) => result.new_answer === truth).length;
  const { series, layer } = first.result;
  return [
    {
      series,
      layer,
      change,
      noEffect: isNoEffect(change),
      accuracy: proportion(right, group.length),
    },
  ];
}
