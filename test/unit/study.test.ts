import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { readRunFile } from "../../src/runs/file.ts";
import { bundleCommandLine, NO_CACHE, ROOT } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";

const folder = mkdtempSync(join(tmpdir(), "flowprobe-study-"));
after(() => rmSync(folder, { recursive: true }));

const { cli, remove } = await bundleCommandLine();
after(remove);

const start = (...args: string[]) =>
  startChild(process.execPath, [cli, "study", ...args], { cwd: ROOT, env: NO_CACHE });
const study = (...args: string[]) => start(...args).ended;

const QUESTIONS = ["Up", "Up", "Up", "Down", "Left", "Right"].map((answer, i) => ({
  video: i === 2 ? "gone.mp4" : `clip-${i % 2}.mp4`,
  question: `Which way does the red circle go, ${i}?`,
  candidates: ["Left", "Down", "Right", "Up"],
  answer,
  question_id: `q${i}`,
}));
const FLAGS = [
  "--experiments",
  "answer",
  "--experiment",
  "knockout --target vql-to-ql --layers 5-7",
];

before(() => {
  for (const i of [0, 1]) {
    const sample = join(ROOT, "samples", `moving-direction-${i + 1}.mp4`);
    copyFileSync(sample, join(folder, `clip-${i}.mp4`));
  }
  writeFileSync(join(folder, "set.json"), JSON.stringify(QUESTIONS));
});

/** What a study found: its points by question, without ids and times. */
async function findings(name: string): Promise<Record<string, unknown>> {
  const runs = join(folder, name, "runs");
  const files = readdirSync(runs).filter((file) => file.endsWith(".flow.jsonl"));
  const found: Record<string, unknown> = {};
  for (const file of files.sort()) {
    const { events, problems } = await readRunFile(join(runs, file));
    assert.deepEqual(problems, []);
    const [experiment, ...more] = experimentsOf(events).filter(({ complete }) => complete);
    assert.ok(experiment !== undefined && more.length === 0, file);
    found[file] = experiment.results.map(({ series, layer, new_score }) => [
      series,
      layer,
      new_score,
    ]);
  }
  return found;
}

async function plan(name: string, ...flags: string[]): Promise<string> {
  const out = join(folder, name);
  const { code, stderr } = await study(
    "new",
    join(folder, "set.json"),
    "--out",
    out,
    ...FLAGS,
    ...flags,
  );
  assert.equal(code, 0, stderr);
  return out;
}

test("a clip that is missing is recorded, and the others are done", async () => {
  const out = await plan("whole");
  const ran = await study("run", out);
  assert.equal(ran.code, 0, ran.stderr);
  const { done, waiting, failed } = JSON.parse((await study("status", out, "--json")).stdout);
  assert.deepEqual([done, waiting, failed.length], [5, 0, 1]);
  assert.match(failed[0].reason, /gone\.mp4/);
  const report = JSON.parse((await study("report", out, "--json")).stdout);
  assert.equal(report.tasks[0].experiments[0].points.length, 4 * 3);
  assert.equal(report.tasks[0].answerByLayer.length, 12);
});

test("what is done is not computed again, what changed is", async () => {
  const out = join(folder, "whole");
  const before = await findings("whole");
  utimesSync(join(folder, "clip-1.mp4"), new Date(), new Date(Date.now() - 86_400_000));
  assert.equal((await study("run", out)).code, 0);
  assert.deepEqual(await findings("whole"), before);
  const aside = readdirSync(join(out, "runs")).filter((file) => file.endsWith(".old"));
  assert.equal(aside.length, 3, "the questions on the clip that changed");
});

test("two workers share the questions, with the same results", async () => {
  const out = await plan("shared");
  const ended = await Promise.all([study("run", out, "--workers", "2"), study("run", out)]);
  assert.deepEqual(
    ended.map(({ code }) => code),
    [0, 0],
  );
  assert.deepEqual(await findings("shared"), await findings("whole"));
});

test("a killed worker's study goes on to the same results", async () => {
  const out = await plan("killed");
  for (let round = 0; round < 3; round++) {
    const { child, ended } = start("run", out);
    // Killed at another moment of the work each time.
    while (child.exitCode === null && !existsSync(join(out, "runs"))) await pause(20);
    await pause(150 * round);
    child.kill("SIGKILL");
    await ended;
  }
  assert.equal((await study("run", out)).code, 0);
  assert.deepEqual(await findings("killed"), await findings("whole"));
});

test("shards cover every question once", async () => {
  const out = await plan("sharded");
  for (const shard of ["1/2", "2/2"]) {
    assert.equal((await study("run", out, "--shard", shard)).code, 0);
  }
  assert.deepEqual(await findings("sharded"), await findings("whole"));
});

test("what cannot be used is bad usage", async () => {
  const set = join(folder, "set.json");
  for (const [args, message] of [
    [["new", set, "--out", join(folder, "x"), "--experiments", "magic"], /"magic"; it can have/],
    [["new", set, "--out", join(folder, "x"), "--experiment", "heads --cut x"], /write FROM:TO/],
    [["new", set, "--out", join(folder, "whole")], /there is a study already/],
    [["run", join(folder, "nowhere")], /holds no study/],
    [["run", join(folder, "whole"), "--shard", "3/2"], /write it as I\/N/],
    [["walk", "x"], /say one of new, run, status, report/],
  ] as const) {
    const { code, stderr } = await study(...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});
