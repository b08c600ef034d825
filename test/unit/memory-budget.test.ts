import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { benchContext } from "../../bench/context.ts";
import { forecastRun } from "../../src/engine/experiments/forecast.ts";
import { planKnockout } from "../../src/engine/experiments/knockout.ts";
import { planPoints } from "../../src/engine/experiments/plan.ts";
import { runExperiments } from "../../src/engine/experiments/run.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { forecastPasses, planMemory } from "../../src/engine/trace/memory.ts";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import { KNOCKOUT_TARGETS } from "../../src/protocol/vocabulary.ts";
import { Noise, type RandomSizes, randomCheckpoint } from "../support/random-checkpoint.ts";

const PROBABILITY_TOLERANCE = 1e-5;
const SIZES: RandomSizes = {
  hidden: 32,
  inner: 16,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  vocab: 100,
  dtype: "F32",
  seed: 13,
};
const AMPLE = 1e9;
/** What a few branches with all the frames' rows take. */
const SCANT = 0.4e6;

const context = benchContext(SIZES.layers, SIZES.heads);
const { length } = context;
const plan = planKnockout(
  { kind: "knockout", targets: KNOCKOUT_TARGETS, window: 2, style: "center" },
  context,
);
const planned = planPoints(plan.points, length, SIZES.layers);
const folder = mkdtempSync(join(tmpdir(), "flowprobe-budget-"));
let model: OpenModel;
before(async () => {
  const spec = await readModelSpec(await randomCheckpoint(folder, SIZES));
  model = await OpenModel.open(spec, { provider: "cpu", threads: 1, memoryBudgetBytes: AMPLE });
});
after(async () => {
  await model.release();
  rmSync(folder, { recursive: true });
});

async function sweep(memoryBudgetBytes: number): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  await runExperiments(
    model,
    {
      embeddings: new Noise(4).draw(length * SIZES.hidden, 1),
      length,
      truthId: 6,
      options: ["A", "B", "C"].map((label, i) => ({ label, text: label, tokenId: 5 + i })),
      tokenText: (id) => `word${id}`,
      observer: () => ({ headAveraged: true }),
    },
    { headAveraged: true },
    [{ id: "sweep", plan }],
    { memoryBudgetBytes, signal: new AbortController().signal },
    (event) => events.push(event),
  );
  return events;
}

function of<T extends RunEvent["type"]>(events: readonly RunEvent[], type: T): RunEventOf<T>[] {
  return events.filter((event): event is RunEventOf<T> => event.type === type);
}

test("a sweep that does not fit its budget runs in several passes, with the same results", async () => {
  const [whole, parts] = [await sweep(AMPLE), await sweep(SCANT)];
  const told = of(parts, "notice").map(({ message }) => message);
  assert.ok(told.some((message) => /33 branches .* run in \d+ passes/.test(message)));
  assert.ok(told.some((message) => /^forecast: .* more than the memory budget/.test(message)));
  assert.deepEqual(of(whole, "notice"), []);
  assert.equal(of(parts, "layer.clean").length, SIZES.layers, "the clean run is told once");
  const key = ({ series, layer }: RunEventOf<"branch.result">) => `${series} ${layer}`;
  const expected = new Map(of(whole, "branch.result").map((point) => [key(point), point]));
  const found = of(parts, "branch.result");
  assert.equal(found.length, plan.points.length);
  for (const point of found) {
    const other = expected.get(key(point));
    assert.ok(other !== undefined, key(point));
    const difference = Math.abs(point.new_score - other.new_score);
    assert.ok(difference <= PROBABILITY_TOLERANCE, `${key(point)}: ${difference}`);
  }
});

test("each branch is in one group, and no group's rows take more than half of the budget", () => {
  const { decoder } = model.spec;
  for (const budget of [SCANT, 0.8e6, 4e6, AMPLE]) {
    const { groups, maxRows, forecastBytes } = planMemory(decoder, length, planned, budget);
    assert.deepEqual(
      groups.flat(),
      planned.map((_, b) => b),
    );
    assert.ok(maxRows >= length);
    for (const group of groups) {
      const rows = group.map(
        (b) => planned[b]?.layers.at(-1)?.before.positions.length ?? Number.NaN,
      );
      const bytes = 4 * SIZES.hidden * rows.reduce((sum, count) => sum + count, 0);
      assert.ok(group.length === 1 || bytes <= budget / 2, `${group.length} branches`);
    }
    assert.ok(forecastBytes > 0);
  }
  const most = (budget: number) => planMemory(decoder, length, planned, budget).groups.length;
  assert.ok(most(SCANT) > most(4e6), "less memory, more passes");
  assert.equal(most(AMPLE), 1);
});

test("a 7B model's sweep is forecast within its budget, from what one pass needs on", () => {
  const layers = 32;
  const decoder = {
    ...model.spec.decoder,
    hiddenSize: 4096,
    intermediateSize: 11_008,
    heads: 32,
    kvHeads: 32,
    headDim: 128,
    vocabSize: 32_000,
  };
  const { points } = planKnockout(
    { kind: "knockout", targets: KNOCKOUT_TARGETS, window: 9, style: "center" },
    benchContext(layers, decoder.heads),
  );
  const paper = planPoints(points, length, layers);
  const passes = [2.5e9, 3e9, 3.5e9, 4e9, 8e9].map((budget) => {
    const { forecastBytes, groups } = planMemory(decoder, length, paper, budget);
    assert.ok(forecastBytes <= budget, `${forecastBytes} of ${budget}`);
    return groups.length;
  });
  assert.ok((passes[0] ?? 0) > 1, "2.5 GB do not hold all branches at once");
  assert.equal(passes.at(-1), 1);
  assert.ok(planMemory(decoder, length, paper, 1e9).forecastBytes > 1e9, "too little is told");
});

test("a run's forecast counts its clean pass and its lens beside the branches", () => {
  const { decoder } = model.spec;
  const many = forecastPasses(decoder, length, planned, AMPLE);
  const few = forecastPasses(decoder, length, planned.slice(-2), AMPLE);
  assert.deepEqual(forecastRun(decoder, many, undefined), {
    cleanFirst: false,
    multiplyAdds: many.multiplyAdds,
  });
  assert.deepEqual(forecastRun(decoder, many, 0), {
    cleanFirst: true,
    multiplyAdds: many.multiplyAdds + many.clean,
  });
  const lens = 10 * SIZES.layers * SIZES.hidden * SIZES.vocab;
  assert.deepEqual(forecastRun(decoder, few, 10), {
    cleanFirst: false,
    multiplyAdds: few.multiplyAdds + lens,
  });
});
