import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { benchContext } from "../../bench/context.ts";
import { planKnockout } from "../../src/engine/experiments/knockout.ts";
import { massRequest } from "../../src/engine/experiments/observe.ts";
import { runExperiments } from "../../src/engine/experiments/run.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { range } from "../../src/engine/trace/rows.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { RunWriter } from "../../src/runs/writer.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";
import { Noise, type RandomSizes, randomCheckpoint } from "../support/random-checkpoint.ts";

const LIMIT = 25e6;
const SETTINGS = { provider: "cpu", threads: 2, memoryBudgetBytes: 1e9 } as const;
const LAYERS = 32;
/** A 7B model's heads, but two layers and small widths: each layer stores alike, whatever its width. */
const SIZES: RandomSizes = {
  hidden: 64,
  inner: 16,
  layers: 2,
  heads: 32,
  kvHeads: 8,
  headDim: 2,
  vocab: 400,
  dtype: "F32",
  seed: 11,
};

test("a run of 1,254 positions and 32 layers with everything in it takes at most 25 MB", {
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "flowprobe-size-"));
  const model = await OpenModel.open(
    await readModelSpec(await randomCheckpoint(folder, SIZES)),
    SETTINGS,
  );
  const context = benchContext(SIZES.layers, SIZES.heads);
  const { length } = context;
  const video = context.groups.get("video") ?? new Int32Array();
  const isVideo = new Set(video);
  const { request, groups } = massRequest(context.groups, length);
  const observer = {
    lens: { positions: video, norm: true, unembedding: "head" as const },
    attentionRows: range(0, length).filter((position) => !isVideo.has(position)),
    headAveraged: true,
    mass: { request, groups },
  };
  // Each point is stored alike, so three cheap series stand for the eleven of the paper.
  const targets = ["question-and-options-to-last"] as const;
  const sweep = { kind: "knockout", targets, window: 9, style: "center" } as const;
  const plan = planKnockout(sweep, context);
  const [started] = syntheticRun({ rows: 12, columns: 12, layers: 32, heads: 32 });
  if (started === undefined) throw new Error("a run starts with an event");
  const path = join(folder, "everything.flow.jsonl");
  const writer = await RunWriter.create(path);
  writer.append(started);
  const kinds = new Map<string, number>();
  const sink = (event: RunEvent) => {
    kinds.set(event.type, (kinds.get(event.type) ?? 0) + 1);
    if (event.type !== "progress") writer.append(event);
  };
  await runExperiments(
    model,
    {
      embeddings: new Noise(3).draw(length * SIZES.hidden, 1),
      length,
      truthId: 5,
      options: ["A", "B", "C", "D"].map((label, i) => ({ label, text: label, tokenId: 5 + i })),
      tokenText: (id) => `word${id}`,
      observer: () => observer,
    },
    observer,
    [{ id: "sweep", plan }],
    { memoryBudgetBytes: 1e9, signal: new AbortController().signal },
    sink,
  );
  await writer.close();
  await model.release();
  const lines = readFileSync(path, "utf8").split("\n");
  const bytesOf = (type: string) =>
    lines.filter((line) => line.includes(`"type":"${type}"`)).join("\n").length;
  rmSync(folder, { recursive: true });
  assert.equal(kinds.get("layer.clean"), SIZES.layers);
  assert.equal(kinds.get("branch.result"), 3 * SIZES.layers);
  const layers = (bytesOf("layer.clean") * LAYERS) / SIZES.layers;
  const points = (bytesOf("branch.result") * 11 * LAYERS) / (3 * SIZES.layers);
  const everything = layers + points + bytesOf("run.started") + bytesOf("vocabulary");
  const attention = LAYERS * observer.attentionRows.length * length * 2;
  assert.ok(layers > attention, `${layers} bytes hold the attention rows of every layer`);
  assert.ok(everything <= LIMIT, `${(everything / 1e6).toFixed(1)} MB`);
});
