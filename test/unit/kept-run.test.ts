import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, mock, test } from "node:test";
import fc from "fast-check";
import { CleanRecord } from "../../src/engine/clean-cache/record.ts";
import { CleanWriter } from "../../src/engine/clean-cache/writer.ts";
import type { OpenModel } from "../../src/engine/runtime/model.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { planBranches } from "../../src/engine/trace/plan.ts";
import { openShapes, type PassCase, passCases, positionsOf } from "../support/random-branches.ts";
import { Noise } from "../support/random-checkpoint.ts";

/** Of what a pass computes anew beside what was kept; the kept rows are the same bits. */
const TOLERANCE = 1e-5;

let folder: string;
const models: OpenModel[] = [];
let files = 0;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "flowprobe-kept-"));
  models.push(...(await openShapes(folder)));
});
after(async () => {
  for (const model of models) await model.release();
  rmSync(folder, { recursive: true });
});

function layoutOf(model: OpenModel, length: number) {
  const { hiddenSize, kvHeads, headDim, layers } = model.spec.decoder;
  return { length, width: hiddenSize, kvWidth: kvHeads * headDim, layers: layers.length };
}

/** Everything that a pass shows of its runs, layer after layer. */
async function passOf(
  model: OpenModel,
  made: PassCase,
  clean: { keep?: CleanWriter; kept?: CleanRecord },
): Promise<Map<string, Float32Array>> {
  const last = made.length - 1;
  const embeddings = new Noise(made.seed).draw(made.length * model.spec.decoder.hiddenSize, 1);
  const readAtEnd = made.endOnly ? () => [last] : undefined;
  const planned = planBranches(made.branches, made.length, model.layers.length, readAtEnd);
  const asked = Int32Array.from(new Set([0, last >> 1, last]));
  const found = new Map<string, Float32Array>();
  const request = {
    positions: positionsOf(model, made),
    maxRows: made.maxRows,
    limits: { scores: 4000, ...made },
    weightRows: asked,
    watched: new Map(made.branches.map((_, b) => [b, asked] as const)),
    ...clean,
  };
  await runPass(model, embeddings, planned, request, async (state) => {
    const { layer } = state;
    found.set(`clean rows ${layer}`, state.hidden.slice());
    found.set(`clean weights ${layer}`, state.weights?.slice() ?? new Float32Array());
    for (const b of made.branches.keys()) {
      found.set(`branch ${b} ${layer}`, state.branchRow(b, last).slice());
      const weights = state.branchWeights(b) ?? state.weights;
      found.set(`weights of branch ${b} ${layer}`, weights?.slice() ?? new Float32Array());
    }
  });
  return found;
}

function assertAlike(mine: Map<string, Float32Array>, fresh: Map<string, Float32Array>): void {
  assert.deepEqual([...mine.keys()], [...fresh.keys()]);
  for (const [what, expected] of fresh) {
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    const found = mine.get(what) ?? new Float32Array();
    assert.equal(found.length, expected.length, what);
    expected.forEach((value, i) => {
      const difference = Math.abs((found[i] ?? Number.NaN) - value);
      assert.ok(difference <= TOLERANCE * scale, `${what}: ${difference}`);
    });
  }
}

describe("a pass from a kept clean run", () => {
  test("equals a fresh one, for any branches", { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(passCases, async (made) => {
        const model = models[made.shape] as OpenModel;
        const layout = layoutOf(model, made.length);
        const path = join(folder, `${files++}`);
        const keep = new CleanWriter(path, "key", layout);
        const fresh = await passOf(model, made, { keep });
        assert.ok(await keep.finish());
        const kept = CleanRecord.open(path, "key", layout);
        assertAlike(await passOf(model, made, { kept }), fresh);
        kept.close();
        rmSync(path);
      }),
      { numRuns: 120, seed: 20_260_102 },
    );
  });

  test("computes no clean row but those that start to differ", async () => {
    const model = models[0] as OpenModel;
    const length = 9;
    const layout = layoutOf(model, length);
    const embeddings = new Noise(3).draw(length * layout.width, 1);
    const path = join(folder, `${files++}`);
    const keep = new CleanWriter(path, "key", layout);
    await runPass(model, embeddings, [], { maxRows: 100, keep }, async () => {});
    assert.ok(await keep.finish());
    const rows: [string, number][] = [];
    for (const [layer, sessions] of model.layers.entries()) {
      for (const name of ["projection", "residual"] as const) {
        const session = sessions[name];
        const run = session.run.bind(session);
        mock.method(session, "run", (...asked: Parameters<typeof run>) => {
          rows.push([`${name} ${layer}`, asked[0].x?.dims[0] ?? Number.NaN]);
          return run(...asked);
        });
      }
    }
    const edges = { kind: "product", queries: Int32Array.of(8), keys: Int32Array.of(1) } as const;
    const cut = { kind: "knockout", edges, layers: new Set([2]) } as const;
    const planned = planBranches([{ interventions: [cut] }], length, model.layers.length);
    const kept = CleanRecord.open(path, "key", layout);
    await runPass(model, embeddings, planned, { maxRows: 100, kept }, async () => {});
    mock.restoreAll();
    kept.close();
    // Its query is computed from the kept row where it first acts; the layers before are not touched.
    assert.deepEqual(rows, [
      ["projection 2", 1],
      ["residual 2", 1],
      ["projection 3", 1],
      ["residual 3", 1],
    ]);
  });
});
