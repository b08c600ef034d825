import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { RunEvent, RunEventType } from "../../src/protocol/events.ts";
import { encodeEvent } from "../../src/runs/codec.ts";
import { readEvents } from "../../src/runs/file.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const folder = await mkdtemp(join(tmpdir(), "flowprobe-bounds-"));
after(() => rm(folder, { recursive: true, force: true }));

const run = syntheticRun({ layers: 3, heads: 4, lens: true, attention: true });

/** A value put into an event as it stands in the file: the path of its keys, and the value. */
type Edit = readonly [path: string, value: unknown];

/** What reading a run tells first after one event of a type was edited in the file. */
async function firstProblem(type: RunEventType, edits: readonly Edit[]): Promise<string> {
  const index = run.findIndex((event) => event.type === type);
  const lines = run.map((event, i) => {
    const stored: unknown = JSON.parse(encodeEvent(event));
    if (i === index) for (const edit of edits) put(stored, edit);
    return JSON.stringify(stored);
  });
  const path = join(folder, "run.flow.jsonl");
  writeFileSync(path, `${lines.join("\n")}\n`);
  for await (const line of readEvents(path)) {
    if (line.kind === "problem") return `line ${line.line} ${line.message}`;
  }
  return "nothing is wrong";
}

function put(stored: unknown, [path, value]: Edit): void {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  const holder = keys.reduce((at, key) => Reflect.get(Object(at), key), stored);
  Reflect.set(Object(holder), last, value);
}

test("an unchanged run passes every bound", async () => {
  assert.equal(await firstProblem("run.started", []), "nothing is wrong");
});

test("every number of a run's start has an upper bound", async () => {
  const huge: readonly Edit[] = [
    ["model.layers", 1e9],
    ["model.heads", 1e9],
    ["model.kvHeads", 1e9],
    ["model.hiddenSize", 1e15],
    ["model.vocabSize", 1e15],
    ["model.tokensPerFrame", 1e12],
    ["video.width", 1e12],
    ["video.frameCount", 1e15],
    ["video.fps", 1e300],
    ["video.durationSeconds", 1e300],
    ["video.crop.width", 1e300],
    ["tokens.length", 1e9],
    ["tokens.grid.frames", 1e9],
    ["tokens.grid.rows", 1e9],
    ["version", 1e300],
  ];
  for (const edit of huge) {
    const told = await firstProblem("run.started", [edit]);
    assert.ok(told.startsWith("line 1 ") && told.includes(edit[0]), told);
  }
});

/** Each edit alone is told as its pattern says. */
async function eachTold(type: RunEventType, rows: readonly [RegExp, ...Edit[]][]): Promise<void> {
  for (const [said, ...edits] of rows) assert.match(await firstProblem(type, edits), said);
}

test("a run's start must agree with itself", async () => {
  const [started] = run;
  assert.ok(started?.type === "run.started");
  const { groups } = started.tokens;
  const video = groups.find(({ name }) => name === "video");
  const copies = Array.from({ length: 200 }, (_, i) => ({ ...video, name: `video ${i}` }));
  await eachTold("run.started", [
    [/beyond the prompt's/, ["tokens.groups.0.spans", [[0, 900_000]]]],
    [/out of order/, ["tokens.groups.0.spans", [[4, 5], [0, 1]]]], // biome-ignore format: a pair
    [/text token beyond/, ["tokens.text.0.position", 900_000]],
    [/a grid of \d+ cells/, ["tokens.grid.rows", 900_000], ["tokens.grid.columns", 900_000]],
    [/a grid of \d+ tokens/, ["tokens.grid.rows", 400]],
    [/a cell beyond/, ["tokens.grid.cells", [900_000]]],
    [/a cell of the grid twice/, ["tokens.grid.cells", [1, 1]]],
    [/no layer/, ["model.layers", 0]],
    [/no frame/, ["video.frames", []]],
    [/groups of \d+ positions/, ["tokens.groups", copies]],
  ]);
});

test("a layer's tensors have its model's and prompt's shape", async () => {
  const empty = (...shape: number[]) => ({ dtype: "f32", shape, base64: "" });
  const ids = { ...empty(1e6, 0), dtype: "i32" };
  await eachTold("layer.clean", [
    [/shape fits/, ["lens.ids", empty(1e9, 0)]],
    [/a lens of shape \[1000000,0\]/, ["lens.ids", ids], ["lens.probabilities", empty(1e6, 0)]],
    [/Too big/, ["lens.positions", [[0, 4e9]]]],
    [/beyond the prompt's/, ["lens.positions", [[0, 1e6]]]],
    [/a lens of shape/, ["lens.positions", [[0, 1]]]],
    [/attention of a position beyond/, ["attention.queries.0", 1e6]],
    [/attention of shape \[0,1000000,0\]/, ["attention.weights", empty(0, 1e6, 0)]],
    [/attention mass of shape/, ["mass.queryGroups", []]],
    [/is of layer 400 of a model with 3/, ["layer", 400]],
  ]);
});

test("probabilities are shares, results lie in the model", async () => {
  await eachTold("branch.result", [
    [/new_score: Too big/, ["new_score", 1e300]],
    [/beyond the model's 3/, ["window", [[0, 9]]]],
    [/detail.head: Too big/, ["detail", { head: 1e9 }]],
  ]);
  await eachTold("answer", [[/answer.probability: Too small/, ["answer.probability", -1e300]]]);
});

test("readings before the run's start, or after another start, are left out", async () => {
  const path = join(folder, "order.flow.jsonl");
  const [started, ...rest] = run;
  assert.ok(started?.type === "run.started");
  const layers = rest.filter(({ type }) => type === "layer.clean");
  const other = { ...started, model: { ...started.model, heads: 8 } };
  const events = [layers[0], started, layers[0], other, layers[1]];
  writeFileSync(path, events.map((event) => `${encodeEvent(event as RunEvent)}\n`).join(""));
  const told: string[] = [];
  for await (const line of readEvents(path)) {
    if (line.kind === "problem") told.push(`${line.line} ${line.message}`);
  }
  assert.deepEqual(told, [
    "1 comes before the event that starts the run",
    "4 starts a run of another model or prompt in the same file",
  ]);
});
