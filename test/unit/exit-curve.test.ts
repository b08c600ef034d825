import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { planExit } from "../../src/engine/experiments/exit.ts";
import type { ExperimentContext } from "../../src/engine/experiments/plan.ts";
import { runExperiments } from "../../src/engine/experiments/run.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { range } from "../../src/engine/trace/rows.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import type { RunEventOf } from "../../src/protocol/events.ts";
import { naiveForward } from "../support/naive.ts";
import { Noise, randomCheckpoint } from "../support/random-checkpoint.ts";

const [HIDDEN, LAYERS, LENGTH, VOCAB] = [32, 5, 16, 60];
const SIZES = { hidden: HIDDEN, inner: 40, heads: 4, kvHeads: 2, headDim: 8, vocab: VOCAB };
const SETTINGS = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;

/** Two frames with text between them: its rows read the first frame, too. */
const CONTEXT: ExperimentContext = {
  groups: new Map([
    ["video", Int32Array.from([2, 3, 4, 7, 8, 9])],
    ["last", range(LENGTH - 1, LENGTH)],
  ]),
  length: LENGTH,
  layers: LAYERS,
  heads: 4,
};

const folder = mkdtempSync(join(tmpdir(), "flowprobe-exit-"));
let model: OpenModel;
before(async () => {
  const checkpoint = await randomCheckpoint(folder, {
    ...SIZES,
    layers: LAYERS,
    dtype: "F32",
    seed: 5,
  });
  model = await OpenModel.open(await readModelSpec(checkpoint), SETTINGS);
});
after(async () => {
  await model.release();
  rmSync(folder, { recursive: true });
});

async function curve(embeddings: Float32Array): Promise<RunEventOf<"branch.result">[]> {
  const results: RunEventOf<"branch.result">[] = [];
  await runExperiments(
    model,
    {
      embeddings,
      length: LENGTH,
      truthId: 7,
      options: [],
      tokenText: (id) => `t${id}`,
      observer: () => ({ headAveraged: true }),
    },
    undefined,
    [{ id: "exit", plan: planExit({ kind: "exit" }, CONTEXT) }],
    { memoryBudgetBytes: 1e9, signal: new AbortController().signal },
    (event) => {
      if (event.type === "branch.result") results.push(event);
    },
  );
  return results;
}

test("each point equals one masked full forward", async () => {
  const embeddings = new Noise(9).draw(LENGTH * HIDDEN, 2);
  const results = await curve(embeddings);
  assert.equal(results.length, LAYERS);
  // Independent of the plan: every row that is not the video's may not read it, from layer K on.
  const video = new Set(CONTEXT.groups.get("video"));
  const queries = range(0, LENGTH).filter((position) => !video.has(position));
  const keys = Int32Array.from(video);
  for (const { layer, window, gt_score, new_score_gt } of results) {
    assert.deepEqual(window, [[layer, LAYERS]]);
    let row = new Float32Array();
    const layers = new Set(Array.from({ length: LAYERS - layer }, (_, i) => layer + i));
    const edges = { kind: "product", queries, keys } as const;
    await naiveForward(
      model,
      embeddings,
      { interventions: [{ kind: "knockout", edges, layers }] },
      (_, hidden) => {
        row = hidden.slice((LENGTH - 1) * HIDDEN);
      },
    );
    const { chosen } = await unembed(model, row, [true], { k: 1, chosen: Int32Array.from([7]) });
    const difference = Math.abs((new_score_gt ?? Number.NaN) - (chosen[0] ?? Number.NaN));
    assert.ok(difference < 1e-6, `layer ${layer}: ${difference}`);
    assert.notEqual(new_score_gt, gt_score);
  }
});

test("cut at every layer, the answer knows nothing of the video", async () => {
  const first = new Noise(9).draw(LENGTH * HIDDEN, 2);
  const other = first.slice();
  for (const position of CONTEXT.groups.get("video") ?? []) {
    other.set(new Noise(position + 50).draw(HIDDEN, 2), position * HIDDEN);
  }
  const [[a], [b]] = [await curve(first), await curve(other)];
  assert.equal(a?.layer, 0);
  assert.ok(Math.abs((a?.new_score_gt ?? 0) - (b?.new_score_gt ?? 1)) < 1e-6);
  assert.ok(Math.abs((a?.gt_score ?? 0) - (b?.gt_score ?? 0)) > 1e-4, "the clean runs differ");
});
