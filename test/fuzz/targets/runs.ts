import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jobOfRun } from "../../../src/host/engine/jobs.ts";
import { standaloneHtml } from "../../../src/host/panel/standalone.ts";
import { summarizeRun } from "../../../src/host/runs/summary.ts";
import type { RunEvent } from "../../../src/protocol/events.ts";
import { encodeEvent } from "../../../src/runs/codec.ts";
import {
  alignRuns,
  compareAnswers,
  compareMass,
  compareSweeps,
  massQueries,
  usualSubject,
} from "../../../src/runs/comparison/compare.ts";
import { runFacts } from "../../../src/runs/comparison/facts.ts";
import { runRecords, runToJson } from "../../../src/runs/exports.ts";
import { readRunFile } from "../../../src/runs/file.ts";
import { remainderOf } from "../../../src/runs/resume.ts";
import { answerByLayerCsv, experimentsCsv } from "../../../src/runs/tables.ts";
import { Store } from "../../../webview/store.ts";
import { syntheticExperiment } from "../../panel/synthetic-experiment.ts";
import { syntheticRun } from "../../panel/synthetic-run.ts";
import { changeBytes, changeJson, type Mutated } from "../mutate.ts";
import type { Target } from "../target.ts";

/** A run with events of every type. */
function fullRun(): RunEvent[] {
  const run = syntheticRun({ layers: 4, heads: 3, frames: 2, lens: true, attention: true });
  const started = run.find((event) => event.type === "run.started");
  const answer = run.find((event) => event.type === "answer");
  const layers = run.filter((event) => event.type === "layer.clean");
  if (started === undefined || answer === undefined) throw new Error("the run has no answer");
  const around = { started, answer, layers };
  const more = [
    syntheticExperiment(
      { kind: "pathways", crossFrame: [0, 2], videoToQuestion: [1, 2], randomSeed: 1 },
      "pathways-1",
      around,
    ),
    syntheticExperiment(
      { kind: "what-if", name: "a cut", from: [20], to: [50], layers: [1, 3] },
      "what-if-1",
      around,
    ),
    syntheticExperiment(
      {
        kind: "generation",
        maxTokens: 4,
        cuts: [{ name: "cut", from: "video", to: "last", layers: [0, 3] }],
      },
      "generation-1",
      around,
    ),
  ];
  return [...run, ...more.flat()];
}

/** Runs as their files' lines, parsed. */
export const RUNS: readonly (readonly unknown[])[] = [
  fullRun(),
  syntheticRun({ layers: 3, heads: 2, frames: 2, cells: [0, 1, 2, 5, 9, 16, 17, 30] }),
  syntheticRun({ layers: 2, heads: 2, frames: 1, correct: false }),
].map((events) => events.map((event): unknown => JSON.parse(encodeEvent(event))));

/** A changed run file. Half of the changes are inside an event, the others to the file's bytes. */
export function changedRun({ base, edits }: Mutated): Buffer {
  const changed = changeJson(
    RUNS[base] ?? [],
    edits.filter(({ kind }) => kind % 5 !== 0),
  );
  const lines = Array.isArray(changed) ? changed : [changed];
  const text = lines.map((line) => `${JSON.stringify(line) ?? ""}\n`).join("");
  return changeBytes(
    Buffer.from(text),
    edits.filter(({ kind }) => kind % 5 === 0),
  );
}

/** Everything that the product makes of a run file, but the pictures. */
async function useRun(path: string): Promise<void> {
  await summarizeRun(path);
  const { events } = await readRunFile(path);
  const store = new Store();
  for (const event of events) store.apply(event);
  runToJson(events);
  runRecords(events);
  answerByLayerCsv(events);
  experimentsCsv(events);
  const started = events.find((event) => event.type === "run.started");
  if (started !== undefined) remainderOf(jobOfRun(started), events);
  const facts = runFacts(events);
  if (facts !== null) {
    const runs = [facts, facts];
    const alignment = alignRuns(runs);
    compareAnswers(runs, alignment, usualSubject(runs), "normed");
    compareSweeps(runs, alignment, "answer");
    for (const query of massQueries(runs)) compareMass(runs, alignment, query);
  }
  const html = standaloneHtml({ title: "a run", script: "", style: "", events });
  if ((html.match(/<script/g) ?? []).length !== 2) throw new Error("the run ends its element");
}

export const RUN_TARGETS: readonly Target[] = [
  {
    name: "run-file",
    shortRuns: 250,
    bases: RUNS.length,
    run: async (input) => {
      const path = join(tmpdir(), "changed.flow.jsonl");
      writeFileSync(path, changedRun(input));
      await useRun(path);
    },
    show: (input) => {
      const good = Buffer.from(
        (RUNS[input.base] ?? []).map((line) => `${JSON.stringify(line)}\n`).join(""),
      ).toString("utf8");
      const bad = changedRun(input).toString("utf8");
      const lines = good.split("\n");
      const other = bad.split("\n").findIndex((line, i) => line !== lines[i]);
      return `run ${input.base}, line ${other + 1}: ${bad.split("\n")[other]}`;
    },
  },
];
