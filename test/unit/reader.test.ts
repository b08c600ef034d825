import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CancelledError, InputError } from "../../src/common/errors.ts";
import { sourceSwitches } from "../../src/engine/service/environment.ts";
import { boundedBatches } from "../../src/host/reader/batches.ts";
import { ReaderPool } from "../../src/host/reader/pool.ts";
import { ReaderProcesses } from "../../src/host/reader/reader.ts";
import type { ReaderBounds } from "../../src/host/reader/worker.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { encodeEvent } from "../../src/runs/codec.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";
import { ROOT } from "../support/bundle.ts";

const folder = await mkdtemp(join(tmpdir(), "flowprobe-reader-"));
const reader = new ReaderProcesses();
const path = fileURLToPath(new URL("../support/reader-program.ts", import.meta.url));
const program = { path, execArgv: sourceSwitches() };
const pools: ReaderPool[] = [];
after(async () => {
  reader.dispose();
  for (const pool of pools) pool.dispose();
  await rm(folder, { recursive: true, force: true });
});

function pool(bounds: Partial<ReaderBounds> = {}, size = 1): ReaderPool {
  const all = { silentMs: 60_000, heapMiB: 64, ...bounds };
  const made = new ReaderPool({ program, bounds: all, size, idleMs: 60_000, log: () => {} });
  pools.push(made);
  return made;
}

const task = (kind: string, more: { signal?: AbortSignal; onNote?(note: unknown): void } = {}) => ({
  ...{ name: "misbehave", params: { kind }, subject: "bad.json" },
  ...more,
});

test("what blocks a reader is ended, and the next task has a new one", async () => {
  const one = pool({ silentMs: 8_000 });
  const before = await one.perform(task("answer"));
  await assert.rejects(one.perform(task("block")), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /^bad\.json: cannot be read here: it takes longer than 8 s/);
    return true;
  });
  assert.notEqual(await one.perform(task("answer")), before);
});

test("a task has a longest time, whatever signs of life it gives", async () => {
  const one = pool({ longestMs: 5_000 });
  await assert.rejects(one.perform(task("wait")), /takes longer than 5 s/);
});

test("what fills a reader's memory kills the reader alone", async () => {
  const one = pool();
  await assert.rejects(one.perform(task("fill")), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /^bad\.json: .*more than 64 MB of memory/);
    return true;
  });
  assert.match(String(await one.perform(task("answer"))), /^from /);
});

test("a reader's own errors keep their class, its end is told", async () => {
  const one = pool();
  await assert.rejects(one.perform(task("refuse")), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.equal(error.message, "no such file");
    return true;
  });
  await assert.rejects(one.perform(task("exit")), InputError);
});

test("tasks beyond the processes wait; notes come in order", async () => {
  const two = pool({}, 2);
  const answers = await Promise.all(Array.from({ length: 6 }, () => two.perform(task("answer"))));
  assert.equal(new Set(answers).size, 2);
  assert.equal(two.pids.length, 2);
  const notes: unknown[] = [];
  const onNote = (note: unknown) => notes.push(note);
  assert.equal(await two.perform(task("notes", { onNote })), "told");
  assert.deepEqual(notes, [0, 1, 2]);
});

test("a cancelled task ends, in time or with its process", async () => {
  const one = pool();
  await one.perform(task("answer"));
  const abort = new AbortController();
  const waiting = one.perform(task("wait", { signal: abort.signal }));
  setTimeout(() => abort.abort(), 500);
  assert.equal(await waiting, "stopped");
  const again = new AbortController();
  const blocked = one.perform(task("block", { signal: again.signal }));
  setTimeout(() => again.abort(), 500);
  await assert.rejects(blocked, CancelledError);
});

test("models, prompts and runs are read as before, in another process", async () => {
  const model = join(ROOT, "models", "embedded");
  const embedded = await reader.ask("describeModel", model, {
    ...{ name: "Embedded model", folder: model, origin: "embedded" },
  });
  assert.ok(embedded.support.ok && embedded.support.layers === 12);
  const prompts = join(ROOT, "samples", "moving-direction-1.vqa.yaml");
  const checked = await reader.ask("checkPrompts", prompts, { path: prompts, text: undefined });
  assert.equal(checked.problems.length, 0);
  assert.equal(checked.questions[0]?.videoFound, true);
  const clip = join(ROOT, "samples", "moving-direction-1.mp4");
  assert.equal(await reader.ask("promptFileBeside", clip, { clip }), prompts);

  const run = syntheticRun({ layers: 4, lens: true, attention: true });
  const file = join(folder, "a.flow.jsonl");
  const lines = run.map((event) => `${encodeEvent(event)}\n`);
  writeFileSync(file, `${lines.join("")}not an event\n`);
  const events: RunEvent[] = [];
  const { problems } = await reader.ask(
    "readRun",
    file,
    { file },
    {
      onNote: (batch) => events.push(...batch),
    },
  );
  assert.deepEqual(events, run);
  assert.deepEqual(problems, [`line ${run.length + 1} is not JSON`]);
  const summary = await reader.ask("summarizeRun", file, { file });
  assert.equal(summary?.status, "done");
  assert.match(summary?.question ?? "", /purple circle/);
});

test("a hostile model folder is told as one that cannot be used", async () => {
  const hostile = join(folder, "model");
  mkdirSync(hostile);
  copyFileSync(join(ROOT, "models", "embedded", "tokenizer.json"), join(hostile, "tokenizer.json"));
  writeFileSync(join(hostile, "config.json"), "[".repeat(5_000_000));
  const { support } = await reader.ask("describeModel", hostile, {
    ...{ name: "hostile", folder: hostile, origin: "cache" },
  });
  assert.equal(support.ok, false);
});

test("a run larger than the window's room is shown as far as there is room", async () => {
  const run = syntheticRun({ layers: 8 });
  async function* events() {
    yield* run;
  }
  const problems: string[] = [];
  const kept: RunEvent[] = [];
  const room = { bytes: 1e9, events: 5 };
  for await (const batch of boundedBatches(events(), problems, room)) kept.push(...batch);
  assert.deepEqual(kept, run.slice(0, 5));
  assert.match(problems[0] ?? "", /more than .* or 5 events; what comes after them is not shown/);
});
