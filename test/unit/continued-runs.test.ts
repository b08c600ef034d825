import assert from "node:assert/strict";
import { copyFileSync, cpSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { recordRun } from "../../src/cli/record.ts";
import { InputError } from "../../src/common/errors.ts";
import { readSafetensorsHeader } from "../../src/engine/checkpoint/safetensors.ts";
import { EngineClient } from "../../src/engine/service/client.ts";
import { Experimenter, type TaskFailure } from "../../src/host/engine/experimenter.ts";
import { jobOfRun } from "../../src/host/engine/jobs.ts";
import { openRunLog } from "../../src/host/runs/log.ts";
import { RunSession } from "../../src/host/runs/session.ts";
import type { RunEvent, RunEventType } from "../../src/protocol/events.ts";
import type { ExperimentRequest } from "../../src/protocol/experiments/schemas.ts";
import type { AnalysisJob } from "../../src/protocol/requests.ts";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { readRunFile } from "../../src/runs/file.ts";
import { ROOT } from "../support/bundle.ts";

const folder = await mkdtemp(join(tmpdir(), "flowprobe-continued-"));
const settings = { provider: "cpu", threads: 1, memoryBudgetBytes: 4e9 } as const;
const client = new EngineClient({ settings });
after(async () => {
  await client.dispose();
  await rm(folder, { recursive: true, force: true });
});

const sampleClip = (n: number) => join(ROOT, "samples", `moving-direction-${n}.mp4`);
const clip = join(folder, "clip.mp4");
const model = join(folder, "model");
cpSync(join(ROOT, "models", "embedded"), model, { recursive: true });

const ask = (change: Partial<AnalysisJob> = {}): AnalysisJob => ({
  model,
  embedded: false,
  clip: { path: clip },
  prompt: {
    question: "Which way does the red circle go?",
    options: ["Left", "Down", "Right", "Up"],
    answer: "Up",
    keywords: [],
  },
  observe: { lens: false, mass: false, attention: "none", headAveraged: true },
  experiments: [],
  ...change,
});
const TEMPLATE = "{video} Hm {question} (";
const { prompt } = ask();
const ownTemplate = ask({ prompt: { ...prompt, template: TEMPLATE } });

let files = 0;
const newPath = () => join(folder, `${files++}.flow.jsonl`);
const quiet = new AbortController().signal;
const record = (job: AnalysisJob, path: string) => recordRun(client, job, path, () => {}, quiet);

/** A new run of the first sample, without experiments. */
async function begun(job = ask()): Promise<string> {
  copyFileSync(sampleClip(1), clip);
  const path = newPath();
  await record(job, path);
  return path;
}

async function refusal(job: AnalysisJob, path: string): Promise<string> {
  const before = readFileSync(path, "utf8");
  const error = await record(job, path).then(
    () => assert.fail("the run was continued"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof InputError);
  assert.equal(readFileSync(path, "utf8"), before, "nothing is added");
  return error.message;
}

test("another template, number of frames or order is refused", async () => {
  const path = await begun();
  assert.match(await refusal(ownTemplate, path), /another prompt template \("pllava"\)/);
  assert.match(
    await refusal(ask({ clip: { path: clip, frames: 4 } }), path),
    /frames \(8; now 4\)/,
  );
  const reversed = ask({ clip: { path: clip, order: "reversed" } });
  assert.match(await refusal(reversed, path), /another order of frames/);
  // The other way round: what was asked for then is left to the model now.
  const four = await begun(ask({ clip: { path: clip, frames: 4 } }));
  assert.match(await refusal(ask(), four), /frames \(4; now 8\)/);
});

test("a clip that was replaced is refused, one that was moved is not", async () => {
  const path = await begun();
  copyFileSync(sampleClip(2), clip);
  assert.match(await refusal(ask(), path), /other pictures: what .*clip\.mp4 shows has changed/);
  const moved = join(folder, "moved.mp4");
  copyFileSync(sampleClip(1), moved);
  const { events } = await record(ask({ clip: { path: moved } }), path);
  assert.ok(events.some(({ type }) => type === "answer"));
});

test("weights that were replaced in place are refused", async () => {
  const path = await begun();
  const file = join(model, "model.safetensors");
  const kept = readFileSync(file);
  const norm = (await readSafetensorsHeader(file)).get("language_model.model.norm.weight");
  assert.ok(norm !== undefined);
  const changed = Buffer.from(kept);
  changed.writeFloatLE(0.5 * changed.readFloatLE(norm.offset), norm.offset);
  writeFileSync(file, changed);
  assert.match(await refusal(ask(), path), /other weights or another configuration of the model/);
  // The same bytes again are the same weights, whatever the file's time.
  writeFileSync(file, kept);
  utimesSync(file, 1e9, 1e9);
  await record(ask(), path);
});

const sweep: ExperimentRequest = {
  kind: "knockout",
  targets: ["vql-to-ql"],
  window: 9,
  style: "center",
  layers: [5, 5],
};

test("what a continued run lacks is added, and the same again adds nothing", async () => {
  const path = await begun();
  const job = ask({ experiments: [sweep] });
  const first = await record(job, path);
  const results = (events: readonly RunEvent[]) =>
    events.filter(({ type }) => type === "branch.result");
  assert.equal(results(first.events).length, 4);
  const text = readFileSync(path, "utf8");
  const again = await record(job, path);
  assert.deepEqual(results(again.events), results(first.events));
  assert.equal(readFileSync(path, "utf8"), text);
  const count = (type: RunEventType) => first.events.filter((event) => event.type === type).length;
  assert.equal(count("run.started"), 1);
  assert.equal(count("layer.clean"), 12);
});

/** A window of the editor that opens a run file. */
async function openWindow(path: string, engine = client) {
  const { events } = await readRunFile(path);
  const [started] = events;
  assert.ok(started?.type === "run.started");
  const session = new RunSession(`file://${path}`, path, "run", jobOfRun(started), false);
  for (const event of events) session.add(event);
  const failures: TaskFailure[] = [];
  const link = Object.assign(engine, { start: () => {} });
  const experimenter = new Experimenter(link, {
    openLog: openRunLog,
    onFailure: (failure) => failures.push(failure),
    onChange() {},
  });
  const submit = (request: ExperimentRequest) =>
    experimenter.submit(session, { kind: "experiment", request });
  return { session, submit, failures };
}

test("a reopened run keeps its own template", async () => {
  const path = await begun(ownTemplate);
  const { session, submit, failures } = await openWindow(path);
  await submit(sweep);
  assert.deepEqual(failures, []);
  const answer = session.last("answer")?.answer;
  const results = experimentsOf((await readRunFile(path)).events)[0]?.results ?? [];
  assert.equal(results.length, 4);
  for (const { base_answer, base_score } of results) {
    assert.equal(base_answer, answer?.token);
    assert.ok(Math.abs(base_score - (answer?.probability ?? 0)) < 1e-6);
  }
});

test("a reopened run whose clip was replaced takes no experiment", async () => {
  const path = await begun();
  copyFileSync(sampleClip(2), clip);
  const { submit, failures } = await openWindow(path);
  await submit(sweep);
  assert.match(failures[0]?.message ?? "", /it is a run of other pictures/);
  assert.deepEqual(experimentsOf((await readRunFile(path)).events), []);
});

test("two windows add their experiments to one run file", async () => {
  const path = await begun();
  const other = new EngineClient({ settings });
  try {
    const [a, b] = [await openWindow(path), await openWindow(path, other)];
    await Promise.all([a.submit(sweep), b.submit({ ...sweep, window: 1 })]);
    assert.deepEqual([...a.failures, ...b.failures], []);
  } finally {
    await other.dispose();
  }
  const found = experimentsOf((await readRunFile(path)).events).filter(
    (experiment) => experiment.kind === "knockout",
  );
  const windows = found.map(({ recipe, results }) => [recipe.window, results.length]);
  assert.deepEqual(
    windows.sort(([x], [y]) => Number(x) - Number(y)),
    [
      [1, 4],
      [9, 4],
    ],
  );
  for (const { recipe, results } of found) {
    for (const { window } of results) {
      const [first = [0, 0]] = window;
      assert.equal(first[1] - first[0], recipe.window);
    }
  }
});
