import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { z } from "zod";
import { readRunFile } from "../../src/runs/file.ts";
import { bundleCommandLine, NO_CACHE, ROOT } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";

const SAMPLE = join(ROOT, "samples", "moving-direction-1.mp4");
/** The sample's circle goes up. */
const [UP, DOWN] = ["D", "B"];
const folder = await mkdtemp(join(tmpdir(), "flowprobe-compare-"));
const { cli, remove } = await bundleCommandLine();
const flowprobe = (...args: string[]) =>
  startChild(process.execPath, [cli, ...args], { cwd: folder, env: NO_CACHE }).ended;
const run = (name: string) => join(folder, `${name}.flow.jsonl`);

const analysis = z.looseObject({
  frames: z.array(z.object({ index: z.int(), timestampSeconds: z.number().nullable() })),
  answer: z.object({ token: z.string(), probability: z.number() }),
});
const analyses = new Map<string, z.infer<typeof analysis>>();

before(async () => {
  for (const order of ["filmed", "reversed", "frozen", "shuffled"]) {
    const asked = order === "filmed" ? [] : ["--order", order];
    const made = await flowprobe("analyze", SAMPLE, ...asked, "--json", "--out", run(order));
    assert.equal(made.code, 0, made.stderr);
    analyses.set(order, analysis.parse(JSON.parse(made.stdout)));
  }
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
  await remove();
});

function analysisOf(order: string) {
  const found = analyses.get(order);
  assert.ok(found !== undefined);
  return found;
}
const indicesOf = (order: string) => analysisOf(order).frames.map(({ index }) => index);

test("--order shows the sampled frames backwards, shuffled or one of them alone", () => {
  const filmed = indicesOf("filmed");
  assert.equal(filmed.length, 8);
  assert.deepEqual(indicesOf("reversed"), filmed.toReversed());
  assert.deepEqual(
    indicesOf("shuffled").toSorted((a, b) => a - b),
    filmed,
  );
  assert.notDeepEqual(indicesOf("shuffled"), filmed);
  assert.equal(new Set(indicesOf("frozen")).size, 1);
  assert.equal(indicesOf("frozen").length, filmed.length);
  assert.equal(analysisOf("filmed").answer.token, UP);
  assert.equal(analysisOf("reversed").answer.token, DOWN, "backwards, the circle goes down");
});

const line = z.array(z.number().nullable());
const lines = z.looseObject({
  values: z.array(line.nullable()),
  differences: z.array(line.nullable()),
});
const comparison = z.looseObject({
  runs: z.array(z.looseObject({ file: z.string() })),
  answerByLayer: z.array(lines.extend({ reading: z.enum(["normed", "raw"]) })),
});

/** The probability of an option by layer, as the run's own events tell it. */
async function byLayer(name: string, option: string, reading: "normed" | "raw") {
  const { events } = await readRunFile(run(name));
  return events.flatMap((event) =>
    event.type === "layer.clean" ? [event[reading].options[option] ?? Number.NaN] : [],
  );
}

test("compare --json holds each run's probabilities, and differences to the first", async () => {
  const made = await flowprobe("compare", run("filmed"), run("reversed"), "--json");
  assert.equal(made.code, 0, made.stderr);
  const { runs, answerByLayer } = comparison.parse(JSON.parse(made.stdout));
  assert.deepEqual(
    runs.map(({ file }) => file),
    [run("filmed"), run("reversed")],
  );
  for (const { reading, values, differences } of answerByLayer) {
    const filmed = await byLayer("filmed", UP, reading);
    const reversed = await byLayer("reversed", UP, reading);
    assert.equal(filmed.length, 12);
    assert.deepEqual(values, [filmed, reversed]);
    reversed.forEach((value, layer) => {
      const told = differences[1]?.[layer] ?? Number.NaN;
      assert.ok(Math.abs(told - (value - (filmed[layer] ?? 0))) < 1e-12);
    });
  }
});

test("compare prints the runs, what differs, and a row for each layer", async () => {
  const { code, stdout } = await flowprobe(
    "compare",
    run("filmed"),
    run("reversed"),
    run("frozen"),
  );
  assert.equal(code, 0);
  assert.match(stdout, /^run 1 {2}.*moving-direction-1\.mp4: "D" 0\.\d{4}, right$/m);
  assert.match(stdout, /^run 2 {2}.*, reversed: "B" 0\.\d{4}, wrong$/m);
  assert.match(stdout, /^run 3 {2}.*, frozen: /m);
  const filmed = await byLayer("filmed", UP, "normed");
  const frozen = await byLayer("frozen", UP, "normed");
  const last = stdout.split("\n").find((text) => /^.* 12 +\d/.test(text)) ?? "";
  const numbers = last.trim().split(/ +/).map(Number).slice(-5);
  assert.equal(numbers[0], Number(filmed.at(-1)?.toFixed(4)));
  assert.equal(numbers[2], Number(frozen.at(-1)?.toFixed(4)));
  assert.equal(numbers[4], Number(((frozen.at(-1) ?? 0) - (filmed.at(-1) ?? 0)).toFixed(4)));
});

test("one run, five runs, and a file without a run are refused", async () => {
  for (const names of [["filmed"], Array.from({ length: 5 }, () => "filmed")]) {
    const { code, stderr } = await flowprobe("compare", ...names.map(run));
    assert.equal(code, 2);
    assert.match(stderr, /2 to 4 run files are needed/);
  }
  const [, second] = readFileSync(run("filmed"), "utf8").split("\n");
  writeFileSync(run("empty"), `${second}\n`);
  const { code, stdout, stderr } = await flowprobe("compare", run("filmed"), run("empty"));
  assert.equal(code, 2, stderr);
  assert.equal(stdout, "");
  assert.ok(stderr.includes(run("empty")), stderr);
});
