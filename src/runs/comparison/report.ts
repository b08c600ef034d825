import {
  type AnswerSubject,
  alignRuns,
  compareAnswers,
  compareMass,
  compareSweeps,
  massQueries,
  usualSubject,
} from "./compare.ts";
import { contrastsOf } from "./contrasts.ts";
import type { RunFacts } from "./facts.ts";
import { missingOf } from "./missing.ts";
import { compareWords, wordLists } from "./words.ts";

/** What of a comparison a reader may choose. */
export interface ReportOptions {
  readonly subject?: AnswerSubject | undefined;
  readonly spatial: readonly string[];
  readonly temporal: readonly string[];
}

/**
 * A whole comparison as one plain value, for JSON: layers count from 0 on the axis that `alignment`
 * describes, probabilities are shares of 1, changes are percent, and every `differences` entry is a
 * run's value less the first run's.
 *
 * @param files where each run was read from.
 */
export function comparisonReport(
  runs: readonly RunFacts[],
  files: readonly string[],
  { subject = usualSubject(runs), spatial, temporal }: ReportOptions,
) {
  const alignment = alignRuns(runs);
  const lists = wordLists(runs, { spatial, temporal });
  return {
    format: "flowprobe-comparison",
    runs: runs.map((run, i) => ({
      file: files[i],
      model: run.model,
      video: run.video,
      question: run.prompt.question,
      options: run.prompt.options.map(({ label, text }) => ({ label, text })),
      rightAnswer: run.prompt.answer,
      answer: run.answer,
      status: run.status,
    })),
    different: contrastsOf(runs).different,
    alignment,
    answerByLayer: (["normed", "raw"] as const).map((reading) => ({
      reading,
      ...compareAnswers(runs, alignment, subject, reading),
    })),
    knockout: {
      answer: compareSweeps(runs, alignment, "answer"),
      truth: compareSweeps(runs, alignment, "truth"),
    },
    mass: massQueries(runs).map((query) => ({
      query,
      keys: compareMass(runs, alignment, query),
    })),
    lens: lists.map((list) => compareWords(runs, alignment, list)),
    missing: missingOf(runs),
  };
}
