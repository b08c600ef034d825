import type { AnswerReading, RunEventOf } from "../protocol/events.ts";
import { answerProbability, type RunStarted, type RunState } from "./state.ts";
import { commonSweep, type SweepChoice, sweptTargets } from "./sweeps.ts";

/** Samples that are exported: those the clean run answers rightly, wrongly, or all. */
export const SAMPLE_MODES = ["correct", "wrong", "all"] as const;
export type SampleMode = (typeof SAMPLE_MODES)[number];

/** Which records are made of the runs. */
export interface RecordOptions extends SweepChoice {
  readonly samples: SampleMode;
  /** One knockout target; absent: all of them. */
  readonly target?: string;
  /** A run's number in the data set, for runs whose question has none; absent: its place. */
  readonly numberOf?: (run: RunState) => number;
}

/** A record as the reference's scripts write and plot it. */
export type ReferenceRecord = Record<string, unknown>;

/** A run that has a clean answer and a known right one. */
interface Sample {
  readonly run: RunState;
  readonly started: RunStarted;
  readonly answer: RunEventOf<"answer">;
  /** The right option's label, as in the prompt. */
  readonly truth: string;
  readonly correct: boolean;
  readonly dataId: number;
}

/**
 * Attention knockout as the reference's records (METHODS.md, "Interchange"): scores are shares of 1,
 * `relative_diff`, `acc_base` and `acc` are percentages, layers count from 0. The accuracies are over
 * all runs given, as the reference counts them, also when only some are recorded. Each target's records
 * are of one sweep, which all runs hold (`commonSweep`).
 *
 * @param runs the runs of one task, one for each sample; runs without a known right answer are left out.
 * @throws InputError when the runs' sweeps over a target are not one.
 */
export function knockoutRecords(
  runs: readonly RunState[],
  options: RecordOptions,
): ReferenceRecord[] {
  const samples = samplesOf(runs, options);
  const swept = [...new Set(samples.flatMap(({ run }) => sweptTargets(run)))];
  const targets = options.target === undefined ? swept : [options.target];
  return targets.flatMap((target) => targetRecords(samples, target, options));
}

function targetRecords(
  samples: readonly Sample[],
  target: string | undefined,
  options: RecordOptions,
): ReferenceRecord[] {
  const runs = samples.map(({ run }) => run);
  const found = commonSweep(runs, target, options);
  const made = samples.flatMap((sample, i) => {
    const results = found[i] ?? [];
    return results.length > 0 ? [{ sample, results }] : [];
  });
  const wanted = latestOfEach(made, ({ sample }) => sample);
  const percentOfSamples = 100 / Math.max(1, wanted.length);
  const accuracyBase = wanted.filter(({ sample }) => sample.correct).length * percentOfSamples;
  const accuracy = new Map<string, number>();
  const records = wanted
    .filter(({ sample }) => isWanted(sample, options.samples))
    .flatMap(({ sample, results }) =>
      results.map((result) => {
        const point = JSON.stringify([result.series, result.layer]);
        const right = bare(result.new_answer) === sample.truth;
        accuracy.set(point, (accuracy.get(point) ?? 0) + (right ? percentOfSamples : 0));
        const record: ReferenceRecord = {
          prompt: sample.started.prompt.text,
          block_desc: result.series,
          layer: result.layer,
          base_score: result.base_score,
          new_score: result.new_score,
          relative_diff: result.relative_diff,
          gt_score: result.gt_score,
          new_score_gt: result.new_score_gt,
          relative_diff_gt: result.relative_diff_gt,
          ...identity(sample),
          base_answer: bare(result.base_answer),
          new_answer: bare(result.new_answer),
          acc_base: accuracyBase,
        };
        return { point, record };
      }),
    );
  return records.map(({ point, record }) => ({ ...record, acc: accuracy.get(point) ?? 0 }));
}

/**
 * Layer-wise answer probability as the reference's records, probabilities in percent.
 *
 * @param reading `raw`: without the final norm before the last layer, as the reference does unless it
 *   is told `--layer_norm`.
 */
export function answerProbabilityRecords(
  runs: readonly RunState[],
  options: Pick<RecordOptions, "samples" | "numberOf">,
  reading: "raw" | "normed" = "raw",
): ReferenceRecord[] {
  const read = samplesOf(runs, options).filter(({ run }) => run.layers.length > 0);
  return latestOfEach(read, (sample) => sample)
    .filter((sample) => isWanted(sample, options.samples))
    .flatMap((sample) =>
      sample.run.layers.flatMap((layer, index) =>
        layer === undefined ? [] : optionRecords(sample, layer[reading], index),
      ),
    );
}

function optionRecords(sample: Sample, read: AnswerReading, layer: number): ReferenceRecord[] {
  const { prompt } = sample.started;
  const answerId = sample.answer.answer.id;
  const answerLabel = prompt.options.find(({ tokenId }) => tokenId === answerId)?.label;
  const baseScore = answerProbability(
    read,
    answerLabel === undefined ? { id: answerId } : { label: answerLabel },
  );
  const truthFirst = prompt.options.toSorted(
    (a, b) => Number(b.label === sample.truth) - Number(a.label === sample.truth),
  );
  return truthFirst.map(({ label }) => ({
    prompt: prompt.text,
    layer,
    desc: label === sample.truth ? "True option" : "False option",
    base_score: percent(baseScore),
    probability: percent(answerProbability(read, { label })),
    class: label,
    ...identity(sample),
    base_answer: bare(sample.answer.answer.token),
    preds_topk: read.top.map(({ token }) => token),
    probs_topk: read.top.map(({ probability }) => probability * 100),
  }));
}

function identity({ started, dataId, truth }: Sample): ReferenceRecord {
  return { video_path: started.video.path, data_id: dataId, gt: truth };
}

function percent(share: number | null): number | null {
  return share === null ? null : share * 100;
}

/** Runs that can be records: clean answer found, right option known. */
function samplesOf(
  runs: readonly RunState[],
  { numberOf }: Pick<RecordOptions, "numberOf">,
): Sample[] {
  return runs.flatMap((state, index) => {
    const { run: started, answer } = state;
    if (started === null || answer === null) return [];
    const { answer: truth, id, options } = started.prompt;
    if (truth === undefined || !options.some(({ label }) => label === truth)) return [];
    // The reference's scripts take an answer for right in either case.
    const correct = bare(answer.answer.token).toLowerCase() === truth.toLowerCase();
    const stated = id !== undefined && /^\d{1,9}$/.test(id) ? Number(id) : undefined;
    const dataId = stated ?? numberOf?.(state) ?? index;
    return [{ run: state, started, answer, truth, correct, dataId }];
  });
}

/**
 * Entries of one sample that was run several times: the last one, in the first one's place.
 */
function latestOfEach<T>(entries: readonly T[], sampleOf: (entry: T) => Sample): T[] {
  const latest = new Map<string, T>();
  for (const entry of entries) latest.set(sampleKey(sampleOf(entry).started), entry);
  return [...latest.values()];
}

/**
 * What makes runs runs of one sample: one clip, its frames, prompt and id. Tables and exports count
 * samples by it, so that both count the same.
 */
export function sampleKey({ video, prompt }: RunStarted): string {
  const frames = video.frames.map(({ index }) => index);
  return JSON.stringify([video.path, frames, prompt.text, prompt.id ?? null]);
}

function isWanted({ correct }: Sample, samples: SampleMode): boolean {
  return samples === "all" || correct === (samples === "correct");
}

/** A token's text as the reference decodes it: without the space that begins a word. */
function bare(token: string): string {
  return token.trim();
}
