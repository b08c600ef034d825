import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, mock, test } from "node:test";
import fc from "fast-check";
import type { OpenModel } from "../../src/engine/runtime/model.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { alikeUntil, planBranches } from "../../src/engine/trace/plan.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { naiveForward } from "../support/naive.ts";
import { openShapes, type PassCase, passCases, positionsOf } from "../support/random-branches.ts";
import { Noise } from "../support/random-checkpoint.ts";

const PROBABILITY_TOLERANCE = 1e-5;

describe("the joint pass", () => {
  let folder: string;
  const models: OpenModel[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "flowprobe-pass-"));
    models.push(...(await openShapes(folder)));
  });

  after(async () => {
    for (const model of models) await model.release();
    rmSync(folder, { recursive: true });
  });

  test("equals one masked full forward per branch, for any branches", {
    timeout: 300_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(passCases, (made) => compare(models, made)),
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
async function compare(models: readonly OpenModel[], made: PassCase): Promise<void> {
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

function assertClose(found: Float32Array, expected: Float32Array, what: string): void {
  let scale = 1;
  for (const value of expected) scale = Math.max(scale, Math.abs(value));
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((found[i] as number) - (expected[i] as number));
    assert.ok(difference <= 1e-4 * scale, `${what}: ${found[i]}, expected ${expected[i]}`);
  }
}
