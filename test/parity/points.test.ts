import assert from "node:assert/strict";
import { test } from "node:test";
import { runPass } from "../../src/engine/trace/pass.ts";
import { planBranches } from "../../src/engine/trace/plan.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { naiveForward } from "../support/naive.ts";
import { CASE_NAMES, slice } from "./fixtures.ts";
import { Errors } from "./measure.ts";
import { branchOf, openCase } from "./open.ts";
import { row } from "./reading.ts";

/** Rows that go together: all branches at once, and few enough that they are split into groups. */
const SPLITS = [
  { how: "at once", maxRows: 1 << 20 },
  { how: "in groups", maxRows: 200 },
] as const;

for (const [name, { how, maxRows }] of CASE_NAMES.flatMap((each) =>
  SPLITS.map((split) => [each, split] as const),
)) {
  test(`${name}: the joint pass, branches ${how}, gives every kind of intervention transformers' figures`, async (t) => {
    const opened = await openCase(name);
    const { model, tensors, facts } = opened;
    const width = model.spec.decoder.hiddenSize;
    const planned = planBranches(
      facts.points.map((point) => branchOf(opened, point)),
      facts.positions,
      facts.layers,
    );
    const last = facts.positions - 1;
    const lastRow = Int32Array.of(last);
    const watched = new Map(
      facts.points.flatMap(({ name: point }, i) =>
        tensors.has(`points.${point}.attention_last`) ? [[i, lastRow] as const] : [],
      ),
    );
    const request = { weightRows: lastRow, watched, maxRows };
    const errors = new Errors();
    const atLast = tensors.floats("points.hidden_last");
    const answers = new Float32Array(facts.points.length * width);
    await runPass(model, tensors.floats("embeddings").data, planned, request, async (state) => {
      const { layer } = state;
      for (const [b, point] of facts.points.entries()) {
        const found = state.branchRow(b, last);
        if (layer === facts.layers - 1) answers.set(found, b * width);
        else errors.tensor("hidden states at last", found, slice(atLast, b, layer));
        if (!watched.has(b)) continue;
        const expected = slice(tensors.floats(`points.${point.name}.attention_last`), layer);
        const weights = state.branchWeights(b) ?? state.weights ?? new Float32Array();
        errors.probability("attention weights of cut runs", weights, expected);
      }
    });
    const read = await unembed(model, answers, Array(facts.points.length).fill(true), {
      k: 1,
      chosen: Int32Array.from({ length: facts.vocab }, (_, id) => id),
    });
    const expected = tensors.floats("points.probabilities");
    for (const [b, point] of facts.points.entries()) {
      errors.probability(`${point.name}`, row(read.chosen, b, facts.vocab), slice(expected, b));
      assert.equal(read.topIds[b], point.figures[2], `${point.name}: new answer`);
    }
    await model.release();
    errors.settle(t);
  });
}

for (const name of CASE_NAMES) {
  test(`${name}: every row that an intervention really changes is planned as dirty`, async () => {
    const opened = await openCase(name);
    const { facts, tensors } = opened;
    await opened.model.release();
    const branches = facts.points.map((point) => branchOf(opened, point));
    const planned = planBranches(branches, facts.positions, facts.layers);
    const changed = tensors.bytes("points.changed").data;
    let rows = 0;
    planned.forEach(({ layers }, b) => {
      layers.forEach(({ after }, layer) => {
        const dirty = new Set(after.positions);
        const at = (b * facts.layers + layer) * facts.positions;
        for (let position = 0; position < facts.positions; position++) {
          if (changed[at + position] !== 1) continue;
          rows++;
          const where = `${facts.points[b]?.name}, layer ${layer}, position ${position}`;
          assert.ok(dirty.has(position), `${where} changes but is not planned`);
        }
      });
    });
    assert.ok(rows > 0);
  });
}

for (const name of ["b-gqa-sharded", "g-linear-bias"] as const) {
  test(`${name}: the masked full forward gives every kind of intervention transformers' figures`, async (t) => {
    const opened = await openCase(name);
    const { model, tensors, facts } = opened;
    const width = model.spec.decoder.hiddenSize;
    const embeddings = tensors.floats("embeddings").data;
    const expected = tensors.floats("points.probabilities");
    const errors = new Errors();
    for (const [b, point] of facts.points.entries()) {
      let end = new Float32Array();
      await naiveForward(model, embeddings, branchOf(opened, point), (_, hidden) => {
        end = row(hidden, facts.positions - 1, width).slice();
      });
      const read = await unembed(model, end, [true], {
        k: 1,
        chosen: Int32Array.from({ length: facts.vocab }, (_, id) => id),
      });
      errors.probability(point.name, read.chosen, slice(expected, b));
    }
    await model.release();
    errors.settle(t);
  });
}
