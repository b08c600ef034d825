import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, mock, test } from "node:test";
import fc from "fast-check";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import type { Positions } from "../../src/engine/families/shared/rope.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import type { Branch, EdgeSet, Intervention } from "../../src/engine/trace/interventions.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { alikeUntil, planBranches } from "../../src/engine/trace/plan.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { naiveForward } from "../support/naive.ts";
import { Noise, type RandomSizes, randomCheckpoint } from "../support/random-checkpoint.ts";

const PROBABILITY_TOLERANCE = 1e-5;
const SETTINGS = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;
const BASE = { inner: 40, layers: 4, vocab: 60, dtype: "F32", seed: 7 } as const;
const SHAPES: RandomSizes[] = [
  { ...BASE, hidden: 32, heads: 4, kvHeads: 4, headDim: 8 },
  { ...BASE, hidden: 24, heads: 6, kvHeads: 2, headDim: 6 },
  { ...BASE, hidden: 20, heads: 3, kvHeads: 1, headDim: 10, dtype: "BF16" },
  { ...BASE, hidden: 24, heads: 4, kvHeads: 2, headDim: 6, seed: 8 },
  { ...BASE, hidden: 24, heads: 4, kvHeads: 2, headDim: 6 },
];
/** How far the rows of the last but one shape look back, by layer. */
const WINDOWS = [undefined, 3, 1, 5];
/** The last shape's frequencies turn by positions on three axes, as M-RoPE's do. */
const AXES = [0, 1, 2];

interface Case {
  readonly shape: number;
  readonly length: number;
  readonly seed: number;
  readonly branches: Branch[];
  readonly maxRows: number;
  /** Rows that attend together, and rows x keys from which on branches share one bias. */
  readonly rows: number;
  readonly shareBiasFrom: number;
  readonly mergeFrom: number;
  /** Whether only the last row is read after the last layer. */
  readonly endOnly: boolean;
}

const subset = (length: number, minLength = 1) =>
  fc
    .uniqueArray(fc.nat(length - 1), { minLength, maxLength: length })
    .map((items) => Int32Array.from(items).sort());

function edges(length: number): fc.Arbitrary<EdgeSet> {
  const product = fc.record({ queries: subset(length), keys: subset(length) });
  const listed = fc
    .array(fc.tuple(fc.nat(length - 1), subset(length)), { minLength: 1, maxLength: 6 })
    .map((rows) => ({ kind: "listed" as const, rows: new Map(rows) }));
  // Every edge of some rows: those become uniform over all S positions.
  const whole = subset(length).map((queries) => ({
    kind: "product" as const,
    queries,
    keys: Int32Array.from({ length }, (_, key) => key),
  }));
  return fc.oneof(
    product.map((sets) => ({ kind: "product" as const, ...sets })),
    listed,
    whole,
  );
}

function intervention(length: number, sizes: RandomSizes): fc.Arbitrary<Intervention> {
  const layers = fc.uniqueArray(fc.nat(sizes.layers - 1), { minLength: 1 });
  const block = fc
    .record({
      edges: edges(length),
      layers: layers.map((items) => new Set(items)),
      heads: fc.option(fc.uniqueArray(fc.nat(sizes.heads - 1), { minLength: 1 }), {
        nil: undefined,
      }),
    })
    .map((parts) => ({ kind: "knockout" as const, ...parts }));
  const patch = fc
    .record({
      mode: fc.constantFrom("set" as const, "add" as const),
      layer: fc.integer({ min: -1, max: sizes.layers - 1 }),
      positions: subset(length),
      seed: fc.nat(1e6),
    })
    .map(({ seed, ...parts }) => ({
      kind: "patch" as const,
      ...parts,
      values: new Noise(seed).draw(parts.positions.length * sizes.hidden, 1),
    }));
  return fc.oneof({ weight: 3, arbitrary: block }, { weight: 1, arbitrary: patch });
}

/**
 * Branches that use some of a few interventions, now and then at other layers: many are alike in
 * their first layers, and part ways later.
 */
function relatives(length: number, sizes: RandomSizes): fc.Arbitrary<Branch[]> {
  const layers = fc.uniqueArray(fc.nat(sizes.layers - 1), { minLength: 1 });
  const pool = fc.array(intervention(length, sizes), { minLength: 1, maxLength: 3 });
  const use = fc.record({ which: fc.nat(2), layers: fc.option(layers, { nil: undefined }) });
  const uses = fc.array(fc.array(use, { maxLength: 3 }), { minLength: 2, maxLength: 6 });
  return fc.tuple(pool, uses).map(([made, each]) =>
    each.map((some) => ({
      interventions: some.flatMap(({ which, layers: other }) => {
        const one = made[which % made.length];
        if (one === undefined) return [];
        return other === undefined || one.kind === "patch"
          ? [one]
          : [{ ...one, layers: new Set(other) }];
      }),
    })),
  );
}

/**
 * Branches as a sweep has them: the same rows lose edges to some keys, each series' window starting at
 * another layer. At a layer some have started, some start there, some are over; many have equal cuts.
 */
function sweeps(length: number, sizes: RandomSizes): fc.Arbitrary<Branch[]> {
  const series = fc.array(subset(length), { minLength: 1, maxLength: 3 });
  const window = fc.integer({ min: 1, max: sizes.layers });
  return fc.tuple(subset(length), series, window).map(([queries, each, layers]) =>
    each.flatMap((keys) => {
      const edges = { kind: "product", queries, keys } as const;
      return Array.from({ length: sizes.layers }, (_, first) => {
        const acts = Array.from({ length: layers }, (_, i) => first + i);
        return { interventions: [{ kind: "knockout", edges, layers: new Set(acts) } as const] };
      });
    }),
  );
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    shape: fc.nat(SHAPES.length - 1),
    length: fc.integer({ min: 1, max: 14 }),
    seed: fc.nat(1e6),
    maxRows: fc.constantFrom(1, 20, 1000),
    rows: fc.constantFrom(1, 3, 256),
    shareBiasFrom: fc.constantFrom(1, 1000),
    mergeFrom: fc.constantFrom(1, 3, 1000),
    endOnly: fc.boolean(),
  })
  .chain((base) => {
    const sizes = SHAPES[base.shape] as RandomSizes;
    return fc.record({
      shape: fc.constant(base.shape),
      length: fc.constant(base.length),
      seed: fc.constant(base.seed),
      maxRows: fc.constant(base.maxRows),
      rows: fc.constant(base.rows),
      shareBiasFrom: fc.constant(base.shareBiasFrom),
      mergeFrom: fc.constant(base.mergeFrom),
      endOnly: fc.constant(base.endOnly),
      branches: fc.oneof(
        fc.array(
          fc
            .array(intervention(base.length, sizes), { minLength: 0, maxLength: 3 })
            .map((interventions) => ({ interventions })),
          { minLength: 1, maxLength: 6 },
        ),
        relatives(base.length, sizes),
        sweeps(base.length, sizes),
      ),
    });
  });

describe("the joint pass", () => {
  let folder: string;
  const models: OpenModel[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "flowprobe-pass-"));
    for (const sizes of SHAPES) {
      const checkpoint = await randomCheckpoint(folder, sizes);
      const spec = await readModelSpec(checkpoint);
      const rope =
        sizes === SHAPES.at(-1) ? { ...spec.decoder.rope, axes: AXES } : spec.decoder.rope;
      const layers =
        sizes === SHAPES.at(-2)
          ? spec.decoder.layers.map((layer, i) => ({ ...layer, window: WINDOWS[i] }))
          : spec.decoder.layers;
      const decoder = { ...spec.decoder, rope, layers };
      models.push(await OpenModel.open({ ...spec, decoder }, SETTINGS));
    }
  });

  after(async () => {
    for (const model of models) await model.release();
    rmSync(folder, { recursive: true });
  });

  test("equals one masked full forward per branch, for any branches", {
    timeout: 300_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(cases, (made) => compare(models, made)),
      {
        numRuns: 240,
        seed: 20_260_101,
      },
    );
  });

  test("refuses to place rows by their number where a decoder turns by three axes", async () => {
    const model = models.at(-1) as OpenModel;
    const embeddings = new Float32Array(model.spec.decoder.hiddenSize);
    await assert.rejects(
      runPass(model, embeddings, [], { maxRows: 1 }, async () => {}),
      /position on every axis/,
    );
  });

  test("no more rows than asked for go through a layer's matrices, however few are read", async () => {
    const model = models[0] as OpenModel;
    const [length, maxRows, count] = [12, 15, 9];
    const embeddings = new Noise(2).draw(length * model.spec.decoder.hiddenSize, 1);
    const branches = Array.from({ length: count }, () => {
      const cut = { kind: "product", queries: Int32Array.of(2), keys: Int32Array.of(0) } as const;
      return { interventions: [{ kind: "knockout", edges: cut, layers: new Set([0]) } as const] };
    });
    const planned = planBranches(branches, length, model.layers.length, () => [length - 1]);
    const seen: number[] = [];
    for (const { projection, residual } of model.layers) {
      for (const session of [projection, residual]) {
        const run = session.run.bind(session);
        mock.method(session, "run", (...asked: Parameters<typeof run>) => {
          seen.push(asked[0].x?.dims[0] ?? Number.NaN);
          return run(...asked);
        });
      }
    }
    await runPass(model, embeddings, planned, { maxRows }, async () => {});
    mock.restoreAll();
    // From the second layer on a branch has ten dirty rows: the clean ones go alone, then each branch.
    assert.ok(seen.length >= 2 * (1 + count) * (model.layers.length - 1));
    assert.ok(Math.max(...seen) <= maxRows, `${Math.max(...seen)} rows at once`);
  });

  test("windows that start together are computed once until one of them ends", async () => {
    const model = models[0] as OpenModel;
    const length = 6;
    const embeddings = new Noise(3).draw(length * model.spec.decoder.hiddenSize, 1);
    const edges = { kind: "product", queries: Int32Array.of(5), keys: Int32Array.of(1) } as const;
    const branches = [[0], [0, 1], [0, 1, 2], [2]].map((layers) => ({
      interventions: [{ kind: "knockout", edges, layers: new Set(layers) } as const],
    }));
    const planned = planBranches(branches, length, model.layers.length);
    assert.deepEqual(
      alikeUntil(planned).map((first) => Array.from(first)),
      [
        [0, 0, 0, 3],
        [0, 1, 1, 3],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
      ],
    );
    const rows: number[] = [];
    for (const { residual } of model.layers) {
      const run = residual.run.bind(residual);
      mock.method(residual, "run", (...asked: Parameters<typeof run>) => {
        rows.push(asked[0].x?.dims[0] ?? Number.NaN);
        return run(...asked);
      });
    }
    await runPass(model, embeddings, planned, { maxRows: 100 }, async () => {});
    mock.restoreAll();
    // One dirty row each: three branches in one, then two of them in one, then each by itself.
    assert.deepEqual(rows, [length + 1, length + 2, length + 4, length + 4]);
  });

  test("refuses a row that was planned as not read at the end", async () => {
    const model = models[0] as OpenModel;
    const length = 5;
    const embeddings = new Noise(1).draw(length * model.spec.decoder.hiddenSize, 1);
    const cut = { kind: "product", queries: Int32Array.of(2), keys: Int32Array.of(0) } as const;
    const interventions = [{ kind: "knockout", edges: cut, layers: new Set([1]) } as const];
    const planned = planBranches([{ interventions }], length, model.layers.length, () => [4]);
    await runPass(model, embeddings, planned, { maxRows: 100 }, async (state) => {
      const last = state.layer === model.layers.length - 1;
      assert.ok(state.branchRow(0, 4).length > 0);
      assert.ok(state.branchRow(0, 1).length > 0, "a clean row is the clean run's");
      if (last) assert.throws(() => state.branchRow(0, 2), /row 2 was planned as not read/);
      else assert.ok(state.branchRow(0, 2).length > 0);
    });
  });
});

/** Runs both executors and compares every layer of every branch. */
async function compare(models: readonly OpenModel[], made: Case): Promise<void> {
  const model = models[made.shape] as OpenModel;
  const width = model.spec.decoder.hiddenSize;
  const last = made.length - 1;
  const embeddings = new Noise(made.seed).draw(made.length * width, 1);
  const readAtEnd = made.endOnly ? () => [last] : undefined;
  const planned = planBranches(made.branches, made.length, model.layers.length, readAtEnd);
  const clean: Float32Array[] = [];
  const rows: Float32Array[][] = made.branches.map(() => []);
  const limits = { scores: 4000, ...made };
  const positions = positionsOf(model, made);
  const request = { positions, maxRows: made.maxRows, limits };
  await runPass(model, embeddings, planned, request, async (state) => {
    clean.push(state.hidden.slice());
    for (const [b, kept] of rows.entries()) kept.push(state.branchRow(b, last).slice());
  });
  const none = { interventions: [] };
  const compareClean = (layer: number, hidden: Float32Array) => {
    assertClose(clean[layer] as Float32Array, hidden, "the clean run is untouched");
  };
  await naiveForward(model, embeddings, none, compareClean, positions);
  for (const [b, branch] of made.branches.entries()) {
    const ends: Float32Array[] = [];
    const compareBranch = (layer: number, hidden: Float32Array) => {
      ends.push(hidden.slice(last * width));
      const dirty = new Set(planned[b]?.layers[layer]?.after.positions);
      for (let position = 0; position < made.length; position++) {
        if (dirty.has(position)) continue;
        const row = [position * width, (position + 1) * width] as const;
        assertClose(
          hidden.subarray(...row),
          (clean[layer] as Float32Array).subarray(...row),
          `position ${position} is planned clean after layer ${layer}`,
        );
      }
    };
    await naiveForward(model, embeddings, branch, compareBranch, positions);
    const kept = rows[b] as Float32Array[];
    const stacked = new Float32Array(2 * width * ends.length);
    ends.forEach((end, layer) => {
      stacked.set(end, 2 * layer * width);
      stacked.set(kept[layer] as Float32Array, (2 * layer + 1) * width);
    });
    const vocab = Int32Array.from({ length: model.spec.decoder.vocabSize }, (_, id) => id);
    const flags = Array.from({ length: 2 * ends.length }, () => true);
    const { chosen } = await unembed(model, stacked, flags, { k: 1, chosen: vocab });
    for (let layer = 0; layer < ends.length; layer++) {
      for (let id = 0; id < vocab.length; id++) {
        const expected = chosen[2 * layer * vocab.length + id] as number;
        const found = chosen[(2 * layer + 1) * vocab.length + id] as number;
        assert.ok(
          Math.abs(expected - found) <= PROBABILITY_TOLERANCE,
          `branch ${b}, layer ${layer}, token ${id}: ${found}, expected ${expected}`,
        );
      }
    }
  }
}

/** On several axes positions repeat and go back, as those of a video do. */
function positionsOf(model: OpenModel, made: Case): Positions | undefined {
  const { axes } = model.spec.decoder.rope;
  const { next } = new Noise(made.seed);
  return axes?.map(() => Array.from({ length: made.length }, () => Math.floor(next() * 20)));
}

function assertClose(found: Float32Array, expected: Float32Array, what: string): void {
  let scale = 1;
  for (const value of expected) scale = Math.max(scale, Math.abs(value));
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((found[i] as number) - (expected[i] as number));
    assert.ok(difference <= 1e-4 * scale, `${what}: ${found[i]}, expected ${expected[i]}`);
  }
}
