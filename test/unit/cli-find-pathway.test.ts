import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { readRunFile } from "../../src/runs/file.ts";
import { bundleCommandLine, NO_CACHE, ROOT } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";

const SAMPLE = join(ROOT, "samples", "moving-direction-1.mp4");
/** Few frames and few candidates: the search itself is tested elsewhere. */
const QUICK = ["--frames", "2", "--candidates", "24"];
const folder = await mkdtemp(join(tmpdir(), "flowprobe-find-"));
const { cli, remove } = await bundleCommandLine();
after(async () => {
  await rm(folder, { recursive: true, force: true });
  await remove();
});

/** Starts the search from the command line; `ended` tells how it went. */
const start = (...args: string[]) =>
  startChild(process.execPath, [cli, "pathways", SAMPLE, ...args], { cwd: folder, env: NO_CACHE });

const range = z.tuple([z.int(), z.int()]).nullable();
const point = z.object({
  crossFrame: range,
  videoToQuestion: range,
  questionToLast: range,
  edges_left: z.number().gt(0).lt(1),
  probability: z.number(),
  share_kept: z.number(),
  answer: z.string(),
  keeps: z.boolean(),
});
const report = z.object({
  answer: z.object({ token: z.string(), probability: z.number() }),
  experiment: z.object({ keepShare: z.number(), maxCandidates: z.number() }),
  found: point.nullable(),
  random: z.object({ probability: z.number(), answer: z.string() }).nullable(),
  ended: z.enum(["local", "limit"]),
  curve: z.array(point).min(2),
  tried: z.array(point),
});

test("--find --json prints what was found, the curve and all that was tried; the same again computes nothing", async () => {
  const path = join(folder, "found.flow.jsonl");
  const args = ["--find", "--keep-share", "0.6", ...QUICK, "--json", "--out", path];
  const first = await start(...args).ended;
  assert.equal(first.code, 0, first.stderr);
  const found = report.parse(JSON.parse(first.stdout));
  assert.equal(found.experiment.keepShare, 0.6);
  assert.equal(found.tried.length, 24);
  assert.equal(found.ended, "limit");
  for (const { probability, share_kept, answer, keeps } of found.tried) {
    assert.ok(Math.abs(share_kept - probability / found.answer.probability) < 1e-6);
    assert.equal(keeps, answer === found.answer.token && share_kept >= 0.6);
  }
  const smallest = found.tried.filter(({ keeps }) => keeps).map((one) => one.edges_left);
  assert.equal(found.found?.edges_left, Math.min(...smallest));
  assert.ok(found.found.keeps);
  assert.ok(found.random !== null);
  found.curve.forEach((one, i) => {
    const before = found.curve[i - 1];
    if (before === undefined) return;
    assert.ok(one.edges_left > before.edges_left && one.share_kept > before.share_kept);
  });

  const { events, problems } = await readRunFile(path);
  assert.deepEqual(problems, []);
  const [experiment] = experimentsOf(events);
  assert.equal(experiment?.outcome?.tried, 24);
  const written = readFileSync(path, "utf8");
  const again = await start(...args).ended;
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(JSON.parse(again.stdout), JSON.parse(first.stdout));
  assert.equal(readFileSync(path, "utf8"), written);
});

test("--find prints the curve, the ranges as --keep takes them, and that it is no proof", async () => {
  const path = join(folder, "found.flow.jsonl");
  const { code, stdout, stderr } = await start(
    ...["--find", "--keep-share", "0.6", ...QUICK, "--out", path],
  ).ended;
  assert.equal(code, 0, stderr);
  const [, keep] = stdout.match(/^found {5}(\S+)$/m) ?? [];
  assert.ok(keep !== undefined, stdout);
  assert.match(stdout, /^edges left +kept +answer +ranges/m);
  assert.match(stdout, /stopped after 24 pathways, as many as allowed; smaller ones may exist/);
  const kept = await start("--keep", keep, "--frames", "2", "--json").ended;
  const [single] = z
    .object({ points: z.array(z.object({ edges_left: z.number(), new_score: z.number() })) })
    .parse(JSON.parse(kept.stdout)).points;
  const { events } = await readRunFile(path);
  const { found } = experimentsOf(events)[0]?.outcome ?? {};
  assert.equal(single?.edges_left, found?.edgesLeft);
  assert.ok(Math.abs((single?.new_score ?? 0) - (found?.probability ?? 1)) < 1e-5);
});

test("Ctrl-C ends a search with code 4; what was tried stays, and the search is made again", async () => {
  const path = join(folder, "stopped.flow.jsonl");
  const { child, ended } = start("--find", "--frames", "32", "--out", path);
  const begun = () => existsSync(path) && readFileSync(path, "utf8").includes('"branch.result"');
  while (child.exitCode === null && !begun()) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 4, stderr);
  const { events, problems } = await readRunFile(path);
  assert.deepEqual(problems, []);
  const [experiment] = experimentsOf(events);
  assert.ok((experiment?.results.length ?? 0) > 0);
  assert.equal(experiment?.complete, false);
  const last = events.at(-1);
  assert.ok(last?.type === "run.finished" && last.status === "cancelled");

  const again = await start(
    ...["--find", "--frames", "32", "--candidates", "8", "--json", "--out", path],
  ).ended;
  assert.equal(again.code, 0, again.stderr);
  assert.equal(report.parse(JSON.parse(again.stdout)).tried.length, 8);
});

test("flags that do not go together, and shares out of bounds, are bad usage", async () => {
  for (const [args, message] of [
    [["--find", "--keep", "cross-frame=1-2"], /--find and --keep exclude each other/],
    [["--find", "--preset", "llava-next-7b"], /--find and --preset exclude each other/],
    [["--keep-share", "0.8"], /--keep-share belongs to --find/],
    [
      ["--find", "--keep-share", "0.2"],
      /--keep-share: the share to keep is "0\.2"; it can be from 0\.5 to 1/,
    ],
    [["--find", "--candidates", "0"], /--candidates: the number of pathways is "0"/],
  ] as const) {
    const { code, stdout, stderr } = await start(...args).ended;
    assert.equal(code, 2, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, message);
  }
});
