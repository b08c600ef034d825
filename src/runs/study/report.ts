import type { RunEvent, RunEventOf } from "../../protocol/events.ts";
import { descriptorOf, experimentVariant } from "../../protocol/experiments/list.ts";
import type { ExperimentKind } from "../../protocol/experiments/schemas.ts";
import type { Outcome, Study, StudyQuestion } from "../../protocol/study.ts";
import { experimentsOf, type RecordedExperiment } from "../experiments.ts";
import { type MeanInterval, meanInterval } from "../statistics/intervals.ts";
import { type Flips, flips, type Proportion } from "../statistics/proportions.ts";
import { type SweepStatistics, sweepStatistics } from "../statistics/sweeps.ts";

/** What the report keeps of a question's run; the tensors of its layers are not among it. */
export interface StudyRun {
  readonly question: StudyQuestion;
  readonly events: readonly RunEvent[];
}

/** A question that has not been computed, and why. */
export interface UnfinishedQuestion extends StudyQuestion {
  readonly reason: string;
}

/** Probability of the right option and of the others, by layer. */
export interface AnswerLayer {
  readonly layer: number;
  readonly right: MeanInterval;
  readonly wrong: MeanInterval;
}

/** One experiment over a task's questions. */
export interface ExperimentReport extends Pick<SweepStatistics, "points"> {
  readonly kind: ExperimentKind;
  readonly title: string;
  readonly variant: string;
  /** Runs that hold it. */
  readonly runs: number;
  /** Questions that it answers otherwise than the clean run, by series; where it has no centres. */
  readonly flips: readonly (Flips & { readonly series: string })[];
}

export interface TaskReport {
  readonly task: string;
  readonly clean: Proportion;
  readonly answerByLayer: readonly AnswerLayer[];
  readonly experiments: readonly ExperimentReport[];
}

export interface StudyReport {
  readonly questions: number;
  readonly done: number;
  readonly failed: readonly UnfinishedQuestion[];
  readonly samples: Study["samples"];
  readonly tasks: readonly TaskReport[];
}

/** Questions that name no task are counted under this name. */
const NO_TASK = "all questions";

/** Whether the report needs an event of a run. */
export function isReported(event: RunEvent): boolean {
  return REPORTED.has(event.type);
}

const REPORTED: ReadonlySet<RunEvent["type"]> = new Set([
  "run.started",
  "layer.clean",
  "answer",
  "experiment.started",
  "branch.result",
  "experiment.finished",
]);

/** An event without the tensors that the report does not read. */
export function withoutTensors(event: RunEvent): RunEvent {
  if (event.type !== "layer.clean") return event;
  const { type, layer, normed, raw } = event;
  return { type, layer, normed, raw };
}

/**
 * A study's means by task, each over the questions that its `samples` chooses.
 *
 * @param outcomes how each question ended, by its number; absent while it has not.
 */
export function studyReport(
  plan: Study,
  runs: readonly StudyRun[],
  outcomes: ReadonlyMap<number, Outcome>,
): StudyReport {
  const failed = plan.questions.flatMap((question) => {
    const ended = outcomes.get(question.number);
    return ended?.status === "failed" ? [{ ...question, reason: ended.reason ?? "unknown" }] : [];
  });
  const byTask = new Map<string, StudyRun[]>();
  for (const run of runs) {
    const task = run.question.task ?? NO_TASK;
    byTask.set(task, [...(byTask.get(task) ?? []), run]);
  }
  return {
    questions: plan.questions.length,
    done: [...outcomes.values()].filter(({ status }) => status === "done").length,
    failed,
    samples: plan.samples,
    tasks: [...byTask].map(([task, own]) => taskReport(task, own, plan.samples)),
  };
}

function taskReport(
  task: string,
  runs: readonly StudyRun[],
  samples: Study["samples"],
): TaskReport {
  const events = runs.map((run) => run.events);
  return {
    task,
    clean: sweepStatistics(events, samples).clean,
    answerByLayer: answerByLayer(chosenRuns(events, samples)),
    experiments: experimentReports(events, samples),
  };
}

/** Runs with a known right answer that the samples' rule takes. */
function chosenRuns(
  runs: readonly (readonly RunEvent[])[],
  samples: Study["samples"],
): (readonly RunEvent[])[] {
  return runs.filter((events) => {
    const correct = events.find((event) => event.type === "answer")?.correct;
    return correct !== undefined && (samples === "all" || correct === (samples === "correct"));
  });
}

/** Experiments that are one in the report: the results of each run, by series and layer. */
interface ExperimentGroup {
  readonly first: RecordedExperiment;
  readonly byRun: Map<number, Map<string, RunEventOf<"branch.result">>>;
}

/**
 * Experiments of the same kind, variant and centres, whichever questions they were made on. A run
 * counts once at each point, however often it was measured.
 */
function experimentReports(
  runs: readonly (readonly RunEvent[])[],
  samples: Study["samples"],
): ExperimentReport[] {
  const found = new Map<string, ExperimentGroup>();
  for (const [index, events] of runs.entries()) {
    for (const experiment of experimentsOf(events)) {
      if (!experiment.complete) continue;
      const centres = "centres" in experiment.recipe ? experiment.recipe.centres : [];
      const key = JSON.stringify([experiment.kind, experimentVariant(experiment), centres]);
      const group = found.get(key) ?? { first: experiment, byRun: new Map() };
      found.set(key, group);
      const points = group.byRun.get(index) ?? new Map();
      group.byRun.set(index, points);
      for (const result of experiment.results) {
        points.set(JSON.stringify([result.series, result.layer]), result);
      }
    }
  }
  return [...found.values()].map(({ first, byRun }) => {
    const own = [...byRun].map(([index, points]) => [
      ...(runs[index] ?? []).filter(({ type }) => type === "run.started" || type === "answer"),
      ...points.values(),
    ]);
    return {
      kind: first.kind,
      title: descriptorOf(first.kind).title,
      variant: experimentVariant(first),
      runs: own.length,
      points: sweepStatistics(own, samples).points,
      flips: descriptorOf(first.kind).layout === "edges-left" ? flipsOf(own) : [],
    };
  });
}

/** How many right answers each series loses and wins, over all questions with a known answer. */
function flipsOf(runs: readonly (readonly RunEvent[])[]): (Flips & { series: string })[] {
  const pairs = new Map<string, [boolean, boolean][]>();
  for (const events of runs) {
    const answer = events.find((event) => event.type === "answer");
    if (answer?.correct === undefined) continue;
    for (const result of events) {
      if (result.type !== "branch.result") continue;
      const own = pairs.get(result.series) ?? [];
      own.push([answer.correct, result.new_answer === answer.groundTruth?.token]);
      pairs.set(result.series, own);
    }
  }
  return [...pairs].map(([series, own]) => ({ series, ...flips(own) }));
}

function answerByLayer(runs: readonly (readonly RunEvent[])[]): AnswerLayer[] {
  const byLayer = new Map<number, { right: Map<string, number[]>; wrong: Map<string, number[]> }>();
  for (const [index, events] of runs.entries()) {
    const started = events.find((event) => event.type === "run.started");
    const truth = started?.prompt.answer;
    if (started === undefined || truth === undefined) continue;
    const source = started.video.path || `run ${index}`;
    for (const event of events) {
      if (event.type === "layer.clean") addLayer(byLayer, event, truth, source);
    }
  }
  return [...byLayer]
    .sort(([a], [b]) => a - b)
    .map(([layer, { right, wrong }]) => ({
      layer,
      right: meanInterval([...right.values()]),
      wrong: meanInterval([...wrong.values()]),
    }));
}

function addLayer(
  byLayer: Map<number, { right: Map<string, number[]>; wrong: Map<string, number[]> }>,
  { layer, normed }: RunEventOf<"layer.clean">,
  truth: string,
  source: string,
): void {
  const entry = byLayer.get(layer) ?? { right: new Map(), wrong: new Map() };
  byLayer.set(layer, entry);
  for (const [label, probability] of Object.entries(normed.options)) {
    const side = label === truth ? entry.right : entry.wrong;
    side.set(source, [...(side.get(source) ?? []), probability]);
  }
}
