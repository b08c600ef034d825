import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Engine } from "../../src/engine/engine.ts";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import type { ExperimentRequest } from "../../src/protocol/experiments/schemas.ts";
import type { AnalysisJob, EngineSettings } from "../../src/protocol/requests.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TOLERANCE = 1e-5;
const EVERYTHING = { lens: true, mass: true, attention: "text", headAveraged: true } as const;

const JOB: AnalysisJob = {
  model: join(ROOT, "models", "embedded"),
  embedded: true,
  clip: { path: join(ROOT, "samples", "moving-direction-1.mp4") },
  prompt: { question: "What moves?", options: ["A ball", "Nothing"], keywords: [] },
  observe: EVERYTHING,
  experiments: [],
};
const EXPERIMENTS: readonly ExperimentRequest[] = [
  {
    kind: "knockout",
    targets: ["vql-to-ql", "question-and-options-to-last"],
    window: 3,
    style: "center",
  },
  {
    kind: "generation",
    maxTokens: 3,
    cuts: [{ name: "blind", from: "video", to: "last", layers: [0, 11] }],
  },
];

let folder: string;
const engines: Engine[] = [];
before(() => {
  folder = mkdtempSync(join(tmpdir(), "flowprobe-engine-kept-"));
});
after(async () => {
  for (const engine of engines) await engine.release();
  rmSync(folder, { recursive: true });
});

function newEngine(settings: Partial<EngineSettings> = {}): Engine {
  const engine = new Engine({ provider: "cpu", threads: 1, memoryBudgetBytes: 1e9, ...settings });
  engines.push(engine);
  return engine;
}

const kept = () => ({ featureFolder: join(folder, "vision"), cleanRunBytes: 1e9 });
const cleanFiles = () => readdirSync(join(folder, "clean"));

/** Events of some work, without those that tell its progress. */
async function eventsOf(
  work: (sink: (event: RunEvent) => void, signal: AbortSignal) => Promise<void>,
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  await work((event) => {
    if (event.type !== "progress") events.push(event);
  }, new AbortController().signal);
  return events;
}

function of<T extends RunEvent["type"]>(events: readonly RunEvent[], type: T): RunEventOf<T>[] {
  return events.filter((event): event is RunEventOf<T> => event.type === type);
}

async function experiments(engine: Engine): Promise<RunEvent[]> {
  const all: RunEvent[] = [];
  for (const [i, request] of EXPERIMENTS.entries()) {
    all.push(
      ...(await eventsOf((sink, signal) => engine.experiment(request, `x${i}`, sink, signal))),
    );
  }
  return all;
}

function assertAlike(mine: readonly RunEvent[], fresh: readonly RunEvent[]): void {
  const [found, expected] = [of(mine, "branch.result"), of(fresh, "branch.result")];
  assert.ok(expected.length > 30);
  assert.equal(found.length, expected.length);
  expected.forEach((point, i) => {
    const other = found[i];
    assert.equal(other?.series, point.series);
    assert.equal(other?.new_answer, point.new_answer);
    assert.ok(Math.abs((other?.new_score ?? Number.NaN) - point.new_score) <= TOLERANCE);
    assert.ok(Math.abs((other?.base_score ?? Number.NaN) - point.base_score) <= TOLERANCE);
  });
  const tokens = (events: readonly RunEvent[]) =>
    of(events, "generation.token").map(({ series, step, token }) => [series, step, token.id]);
  assert.ok(tokens(fresh).length > 0);
  assert.deepEqual(tokens(mine), tokens(fresh));
}

test("experiments from a kept run give what they give without one", async () => {
  const plain = newEngine();
  await eventsOf((sink, signal) => plain.run(JOB, sink, signal));
  const fresh = await experiments(plain);
  const first = newEngine(kept());
  await eventsOf((sink, signal) => first.run(JOB, sink, signal));
  assert.equal(cleanFiles().length, 1);
  assertAlike(await experiments(first), fresh);
  // Another process finds it, too, and asks on a run that it did not make.
  const second = newEngine(kept());
  await eventsOf((sink, signal) => second.run({ ...JOB, observe: EVERYTHING }, sink, signal));
  assertAlike(await experiments(second), fresh);
  assert.equal(cleanFiles().length, 1);
});

test("the lens and attention rows of a kept run are those of a fresh one", async () => {
  const observed = async (engine: Engine) => {
    await eventsOf((sink, signal) => engine.run({ ...JOB, observe: EVERYTHING }, sink, signal));
    const ask = { lens: true, mass: false, attention: "text", headAveraged: false } as const;
    return of(await eventsOf((sink, signal) => engine.observe(ask, sink, signal)), "layer.clean");
  };
  const [mine, fresh] = [await observed(newEngine(kept())), await observed(newEngine())];
  assert.ok(fresh.length > 4);
  assert.equal(mine.length, fresh.length);
  fresh.forEach(({ lens, attention, normed }, layer) => {
    const other = mine[layer];
    for (const [found, expected] of [
      [other?.lens?.probabilities.data, lens?.probabilities.data],
      [other?.attention?.weights.data, attention?.weights.data],
      [other?.normed.top.map((t) => t.probability), normed.top.map((t) => t.probability)],
    ] as const) {
      assert.ok(expected !== undefined && expected.length > 0);
      assert.equal(found?.length, expected.length);
      for (let i = 0; i < expected.length; i++) {
        assert.ok(Math.abs((found?.[i] ?? Number.NaN) - (expected[i] ?? 0)) <= TOLERANCE);
      }
    }
  });
});

test("a kept run that is damaged is told, and computed again", async () => {
  const engine = newEngine(kept());
  await eventsOf((sink, signal) => engine.run(JOB, sink, signal));
  const fresh = await experiments(engine);
  const [name] = cleanFiles();
  const path = join(folder, "clean", name ?? "");
  const bytes = readFileSync(path);
  bytes[Math.floor(bytes.length * 0.7)] = (bytes[Math.floor(bytes.length * 0.7)] ?? 0) ^ 8;
  writeFileSync(path, bytes);
  const again = newEngine(kept());
  await eventsOf((sink, signal) => again.run(JOB, sink, signal));
  const found = await experiments(again);
  assertAlike(found, fresh);
  const told = of(found, "notice").flatMap(({ message }) => message.match(/.* kept .*/) ?? []);
  assert.deepEqual(told, ["the clean run that was kept is damaged; it is computed again"]);
  assert.equal(cleanFiles().length, 1, "and kept again");
});

test("other prompts, clips and frames are other runs", async () => {
  const engine = newEngine(kept());
  const before = cleanFiles().length;
  for (const job of [
    { ...JOB, prompt: { ...JOB.prompt, question: "Does it move?" } },
    { ...JOB, clip: { ...JOB.clip, order: "reversed" as const } },
    { ...JOB, clip: { ...JOB.clip, endSeconds: 1 } },
  ]) {
    await eventsOf((sink, signal) => engine.run(job, sink, signal));
  }
  assert.equal(cleanFiles().length, before + 3);
});

test("without room nothing is kept", async () => {
  const place = join(folder, "off", "vision");
  for (const cleanRunBytes of [0, 1000]) {
    const engine = newEngine({ featureFolder: place, cleanRunBytes });
    await eventsOf((sink, signal) => engine.run(JOB, sink, signal));
    assert.ok(!readdirSync(join(folder, "off")).includes("clean"));
  }
});
