import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { KNOCKOUT_TARGETS } from "../../src/protocol/vocabulary.ts";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { readRunFile } from "../../src/runs/file.ts";
import { bundleCommandLine, NO_CACHE, ROOT } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";

const SAMPLE = join(ROOT, "samples", "moving-direction-1.mp4");
const LAYERS = 12;
const folder = await mkdtemp(join(tmpdir(), "flowprobe-cli-"));
const { cli, remove } = await bundleCommandLine();
after(async () => {
  await rm(folder, { recursive: true, force: true });
  await remove();
});

/** Starts the command line away from the project's folder; `ended` tells how it went. */
const start = (...args: string[]) =>
  startChild(process.execPath, [cli, ...args], { cwd: folder, env: NO_CACHE });

const flowprobe = (...args: string[]) => start(...args).ended;

async function untilFileHas(path: string, text: string): Promise<void> {
  while (!existsSync(path) || !readFileSync(path, "utf8").includes(text)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const token = z.strictObject({ token: z.string(), probability: z.number().min(0).max(1) });
const shares = z.record(z.string(), z.number().min(0).max(1));
const report = z.object({
  model: z.looseObject({ layers: z.literal(LAYERS), embedded: z.literal(true) }),
  video: z.literal(SAMPLE),
  frames: z.array(z.object({ index: z.int(), timestampSeconds: z.number().nullable() })),
  prompt: z.string(),
  tokens: z.record(z.string(), z.int()),
  answer: token,
  groundTruth: token,
  answerByLayer: z.array(
    z.strictObject({
      layer: z.int(),
      options: shares,
      rawOptions: shares,
      top: z.array(token).length(10),
    }),
  ),
  out: z.string(),
});

const analyzed = join(folder, "analyzed.flow.jsonl");

test("analyze --json prints one object, from the prompt file beside the video, and saves the run", async () => {
  const { code, stdout, stderr } = await flowprobe("analyze", SAMPLE, "--json", "--out", analyzed);
  assert.equal(code, 0, stderr);
  const found = report.parse(JSON.parse(stdout));
  assert.equal(found.out, analyzed);
  assert.equal(found.frames.length, 8);
  assert.deepEqual(
    found.answerByLayer.map(({ layer }) => layer),
    Array.from({ length: LAYERS }, (_, i) => i),
  );
  assert.equal(found.tokens.video, 128);
  assert.equal(found.tokens["frame:7"], 16);
  assert.equal(found.tokens.last, 1);
  const labels = ["A", "B", "C", "D"];
  const lastLayer = found.answerByLayer.at(-1);
  assert.deepEqual(Object.keys(lastLayer?.options ?? {}), labels);
  // The last layer is the answer itself, and has the final norm in both variants.
  const shown = lastLayer?.options[found.groundTruth.token];
  assert.ok(Math.abs((shown ?? 0) - found.groundTruth.probability) < 1e-5);
  for (const label of labels) {
    const { options = {}, rawOptions = {} } = lastLayer ?? {};
    assert.ok(Math.abs((options[label] ?? 0) - (rawOptions[label] ?? 1)) < 1e-6);
  }
  assert.deepEqual(lastLayer?.top[0]?.token, found.answer.token);
  const { events, problems } = await readRunFile(analyzed);
  assert.deepEqual(problems, []);
  assert.equal(events.filter(({ type }) => type === "layer.clean").length, LAYERS);
  const last = events.at(-1);
  assert.ok(last?.type === "run.finished" && last.status === "done");
});

test("analyze prints the question, a row for each layer, the answer and the file", async () => {
  const { code, stdout, stderr } = await flowprobe(
    ...["analyze", SAMPLE, "--question", "Where does it go?", "--frames", "4"],
    ...["--option", "Left", "--option", "Up", "--answer", "B", "--out", "runs/"],
  );
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "", "progress is for a terminal only");
  assert.match(stdout, /^question {2}Where does it go\?$/m);
  assert.match(stdout, /^ +\(B\) Up {2}<- right$/m);
  const rows = [...stdout.matchAll(/^ +(\d+)( +0\.\d{4}){2} {2}/gm)].map(([, layer]) => layer);
  assert.deepEqual(
    rows,
    Array.from({ length: LAYERS }, (_, i) => String(i + 1)),
  );
  assert.match(stdout, /^answer .*(right|wrong; right is "B" .*)$/m);
  const [file, ...more] = readdirSync(join(folder, "runs"));
  assert.ok(file !== undefined && more.length === 0);
  assert.match(file, /^moving-direction-1\.\d{8}-\d{6}\.flow\.jsonl$/);
  assert.ok(stdout.includes(join(folder, "runs", file)));
});

const figures = z.object({
  series: z.string(),
  layer: z
    .int()
    .min(0)
    .max(LAYERS - 1),
  base_score: z.number(),
  new_score: z.number(),
  relative_diff: z.number(),
  gt_score: z.number(),
  new_score_gt: z.number(),
  relative_diff_gt: z.number(),
  base_answer: z.string(),
  new_answer: z.string(),
});

test("knockout --target all has every series at every layer; the same again computes nothing", async () => {
  const args = ["knockout", SAMPLE, "--target", "all", "--window", "3", "--json", "--out"];
  const path = join(folder, "sweep.flow.jsonl");
  const first = await flowprobe(...args, path);
  assert.equal(first.code, 0, first.stderr);
  const { points } = z.object({ points: z.array(figures) }).parse(JSON.parse(first.stdout));
  const series = new Map<string, number[]>();
  for (const { series: name, layer } of points) {
    series.set(name, [...(series.get(name) ?? []), layer]);
  }
  assert.equal(series.size, 11);
  for (const layers of series.values()) {
    assert.deepEqual(
      layers.toSorted((a, b) => a - b),
      Array.from({ length: LAYERS }, (_, i) => i),
    );
  }
  for (const point of points) {
    const { base_score: base, new_score: now, relative_diff: difference } = point;
    assert.ok(Math.abs(difference - (100 * (now - base)) / base) < 1e-6);
  }
  const before = readFileSync(path, "utf8");
  const second = await flowprobe(...args, path);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(JSON.parse(second.stdout), JSON.parse(first.stdout));
  assert.equal(readFileSync(path, "utf8"), before);
});

test("an experiment is added to a run that exists, and reported alone", async () => {
  const args = ["--layers", "2-3", "--target", "vql-to-ql", "--json", "--out", analyzed];
  const { code, stdout, stderr } = await flowprobe("knockout", SAMPLE, ...args);
  assert.equal(code, 0, stderr);
  const { points } = z.object({ points: z.array(figures) }).parse(JSON.parse(stdout));
  assert.deepEqual(
    [points.length, new Set(points.map(({ layer }) => layer))],
    [8, new Set([1, 2])],
  );
  const { events } = await readRunFile(analyzed);
  assert.equal(events.filter(({ type }) => type === "run.started").length, 1);
  assert.equal(events.filter(({ type }) => type === "layer.clean").length, LAYERS);
  assert.equal(experimentsOf(events).length, 1);
});

test("pathways report the pathway and the random control with the share of edges left", async () => {
  const keep = "cross-frame=2-6,video-question=2-8,question-last=6-10";
  const { code, stdout, stderr } = await flowprobe(
    ...["pathways", SAMPLE, "--keep", keep, "--random", "7", "--json"],
    ...["--out", join(folder, "pathways.flow.jsonl")],
  );
  assert.equal(code, 0, stderr);
  const points = z
    .object({ points: z.array(figures.extend({ edges_left: z.number().gt(0).lt(1) })) })
    .parse(JSON.parse(stdout)).points;
  assert.equal(points.length, 2);
  assert.equal(points[0]?.edges_left, points[1]?.edges_left);
});

test("Ctrl-C once ends with code 4 within a second, and what was found stays in the file", async () => {
  const path = join(folder, "stopped.flow.jsonl");
  const { child, ended } = start(
    ...["knockout", SAMPLE, "--target", "all", "--frames", "64", "--out", path],
  );
  await untilFileHas(path, '"type":"answer"');
  const asked = performance.now();
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.ok(performance.now() - asked < 3_000, "with the process's own end");
  assert.equal(code, 4, stderr);
  assert.match(stderr, /^flowprobe: cancelled; what was found/m);
  const { events, problems } = await readRunFile(path);
  assert.deepEqual(problems, []);
  assert.equal(events.filter(({ type }) => type === "layer.clean").length, LAYERS);
  const last = events.at(-1);
  assert.ok(last?.type === "run.finished" && last.status === "cancelled");
});

test("bad usage is told with the way to the help, and ends with code 2", async () => {
  for (const [args, message] of [
    [
      ["analyze", SAMPLE, "--colour", "red"],
      /Unknown option '--colour'[\s\S]*flowprobe analyze --help/,
    ],
    [["analyze"], /the video is missing/],
    [["analyse", SAMPLE], /there is no command "analyse"/],
    [["analyze", SAMPLE, "--answer", "A"], /--answer belongs to --question/],
    [["knockout", SAMPLE, "--layers", "9-2"], /"9-2" is not a range of layers/],
    [["knockout", SAMPLE, "--window", "0"], /--window: the window is "0"; a whole number from 1/],
    [["pathways", SAMPLE, "--keep", "video=1-2"], /--keep: "video=1-2" is not a kept range/],
    [[], /flowprobe COMMAND --help/],
  ] as const) {
    const { code, stdout, stderr } = await flowprobe(...args);
    assert.equal(code, 2, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, message);
  }
});

test("input that cannot be used ends with code 2, one message, and no file left behind", async () => {
  const prompt = join(folder, "bad.vqa.yaml");
  writeFileSync(prompt, 'video: a.mp4\nquestion: "Up?"\noptions: ["Up", "Down"]\nanswer: "Left"\n');
  const noise = join(folder, "noise.mp4");
  writeFileSync(noise, Buffer.alloc(5_000, 7));
  mkdirSync(join(folder, "empty"));
  const out = join(folder, "bad.flow.jsonl");
  const ask = ["--question", "Q?"];
  for (const [args, message] of [
    [[join(folder, "none.mp4"), ...ask], /none\.mp4: no such file/],
    [[noise, ...ask], /noise\.mp4/],
    [[join(folder, "empty"), ...ask], /empty/],
    [[noise], /there is no prompt file beside it/],
    [[SAMPLE, "--prompt", prompt], /Left/],
    [
      [SAMPLE, "--prompt", `${join(ROOT, "samples", "moving-direction-1.vqa.yaml")}#9x`],
      /no question "9x"/,
    ],
    [[SAMPLE, "--start", "5", "--end", "2"], /start|end/],
    [
      [SAMPLE, ...ask, "--option", "A1", "--option", "B1", "--answer", "C1"],
      /not among the options/,
    ],
  ] as const) {
    const { code, stdout, stderr } = await flowprobe("analyze", ...args, "--out", out);
    assert.equal(code, 2, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    assert.equal(stdout, "");
    assert.ok(!existsSync(out), "no run file is left");
  }
});

test("a place that cannot be written, and a file that is something else, are told before any work", async () => {
  const diary = join(folder, "diary.flow.jsonl");
  writeFileSync(diary, "dear diary\n");
  const other = join(folder, "analyzed.flow.jsonl");
  const second = join(ROOT, "samples", "moving-direction-2.mp4");
  for (const [args, message] of [
    [[SAMPLE, "--out", "/proc/flowprobe/a.flow.jsonl"], /cannot be saved there/],
    [[SAMPLE, "--out", diary], /not a Flowprobe run/],
    [[second, "--out", other], /it is a run of another video/],
  ] as const) {
    const before = readFileSync(other, "utf8");
    const { code, stderr } = await flowprobe("analyze", ...args, "--json");
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.equal(readFileSync(diary, "utf8"), "dear diary\n");
    assert.equal(readFileSync(other, "utf8"), before);
  }
});

test("a model folder that cannot be used ends with code 3", async () => {
  const bad = join(folder, "model");
  mkdirSync(bad);
  writeFileSync(join(bad, "config.json"), '{"model_type":"mamba"}');
  const analysis = ["analyze", SAMPLE, "--model", bad, "--out", join(folder, "m.flow.jsonl")];
  for (const [args, message] of [
    [["model", join(folder, "nowhere")], /nowhere/],
    [["model", bad], /mamba/],
    [analysis, /mamba/],
  ] as const) {
    const { code, stderr } = await flowprobe(...args);
    assert.equal(code, 3, stderr);
    assert.match(stderr, message);
  }
  assert.ok(!existsSync(join(folder, "m.flow.jsonl")));
});

test("model describes the embedded model", async () => {
  const { code, stdout, stderr } = await flowprobe("model", "--json");
  assert.equal(code, 0, stderr);
  const found = z.object({ family: z.string(), layers: z.int(), supported: z.literal(true) });
  assert.deepEqual(found.parse(JSON.parse(stdout)), {
    family: "pllava",
    layers: LAYERS,
    supported: true,
  });
});

test("model names what is missing, and takes it from a sibling", async () => {
  const whole = join(ROOT, "test", "parity", "fixtures", "h-next-video");
  const bare = join(folder, "bare");
  cpSync(whole, bare, { recursive: true });
  rmSync(join(bare, "preprocessor_config.json"));
  const missing = await flowprobe("model", bare);
  assert.equal(missing.code, 3, missing.stderr);
  assert.match(missing.stderr, /processor: .*preprocessor_config\.json.*--processor DIR/);
  assert.doesNotMatch(missing.stdout, /supported/);
  const borrowed = await flowprobe("model", bare, "--processor", whole);
  assert.equal(borrowed.code, 0, borrowed.stderr);
  assert.match(borrowed.stdout, /llava_next_video\), supported/);
});

test("every command has its help", async () => {
  const overview = await flowprobe("--help");
  assert.equal(overview.code, 0);
  const names = [...overview.stdout.matchAll(/^ {2}(\w+) +/gm)].map(([, name]) => name ?? "");
  assert.ok(["analyze", "model", "knockout", "pathways", "export"].every((n) => names.includes(n)));
  for (const name of names) {
    const { code, stdout, stderr } = await flowprobe(name, "--help");
    assert.equal(code, 0, stderr);
    assert.ok(stdout.startsWith(`flowprobe ${name} `), stdout);
    assert.match(stdout, /--json|--format/);
  }
});

test("a run is exported as JSON, as CSV and in the reference's layout", async () => {
  const sweep = join(folder, "sweep.flow.jsonl");
  const json = await flowprobe("export", sweep, "--format", "json");
  assert.equal(json.code, 0, json.stderr);
  const { layers } = z.object({ layers: z.array(z.unknown()) }).parse(JSON.parse(json.stdout));
  assert.equal(layers.length, LAYERS);
  const csv = join(folder, "sweep.csv");
  const written = await flowprobe("export", sweep, "--format", "csv-experiments", "--out", csv);
  assert.equal(written.code, 0, written.stderr);
  assert.equal(readFileSync(csv, "utf8").trimEnd().split("\r\n").length, 1 + 11 * LAYERS);
  const again = await flowprobe("export", sweep, "--format", "csv-experiments", "--out", csv);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /exists already/);
  const reference = await flowprobe(
    ...["export", sweep, "--format", "reference", "--out", join(folder, "reference")],
    ...["--samples", "all", "--model-name", "mine"],
  );
  assert.equal(reference.code, 0, reference.stderr);
  for (const target of KNOCKOUT_TARGETS) {
    const inside = ["reference", "tvbench", target, "mine", "jsons", "05_Moving Direction.json"];
    const records: unknown = JSON.parse(readFileSync(join(folder, ...inside), "utf8"));
    assert.ok(Array.isArray(records) && records.length % LAYERS === 0 && records.length > 0);
  }
});
