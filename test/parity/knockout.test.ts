import assert from "node:assert/strict";
import { test } from "node:test";
import { compareToClean, type LastReading } from "../../src/engine/experiments/figures.ts";
import { planKnockout } from "../../src/engine/experiments/knockout.ts";
import { planPathways } from "../../src/engine/experiments/pathways.ts";
import type { ExperimentContext } from "../../src/engine/experiments/plan.ts";
import type { Branch } from "../../src/engine/trace/interventions.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { planBranches } from "../../src/engine/trace/plan.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import type { LayerRange } from "../../src/protocol/experiments/schemas.ts";
import { KNOCKOUT_TARGETS, WINDOW_STYLES } from "../../src/protocol/vocabulary.ts";
import {
  CASE_NAMES,
  DETAILED_CASES,
  FAMILY_CASES,
  type Facts,
  type Fixture,
  positionsOf,
  RANDOM_CASES,
} from "./fixtures.ts";
import { Errors } from "./measure.ts";
import { type OpenCase, openCase } from "./open.ts";
import { row } from "./reading.ts";

for (const name of [...CASE_NAMES, ...FAMILY_CASES]) {
  test(`${name}: every target, series, window style and centre gives transformers' figures`, async (t) => {
    const opened = await openCase(name);
    const { facts, tensors, tokenizer, model } = opened;
    const errors = new Errors();
    const names = Object.values(facts.sweeps.targets).flat();
    const clean = cleanReading(opened);
    const detailed = DETAILED_CASES.some((known) => known === name);
    for (const style of WINDOW_STYLES.filter((each) => facts.sweeps.styles.includes(each))) {
      const windowed = style === "center" || style === "inverse";
      for (const window of windowed ? facts.sweeps.windows : facts.sweeps.windows.slice(0, 1)) {
        const key = windowed ? `sweep.${style}.${window}` : `sweep.${style}`;
        const request = { kind: "knockout", targets: KNOCKOUT_TARGETS, window, style } as const;
        const { points, notices } = planKnockout(request, context(facts));
        assert.deepEqual(notices, []);
        assert.deepEqual(
          points.map(({ series, layer }) => `${series} ${layer}`),
          names.flatMap((series) =>
            Array.from({ length: facts.layers }, (_, layer) => `${series} ${layer}`),
          ),
        );
        const whole = await distributions(
          opened,
          points.map(({ branch }) => branch),
        );
        const readings = points.map((_, i) => reading(row(whole, i, facts.vocab), tokenizer));
        const figures = readings.map((read) => compareToClean(clean, read, facts.groundTruth.id));
        const expected = (column: string) => tensors.floats(`${key}.${column}`).data;
        const column = (pick: (figure: (typeof figures)[number]) => number | null) =>
          figures.map((figure) => pick(figure) ?? Number.NaN);
        errors.probability(
          `${style}: new_score`,
          column((f) => f.new_score),
          expected("new_score"),
        );
        errors.probability(
          `${style}: new_score_gt`,
          column((f) => f.new_score_gt),
          expected("new_score_gt"),
        );
        errors.relativeDiff(
          `${style}: relative_diff`,
          column((f) => f.relative_diff),
          expected("relative_diff"),
        );
        errors.relativeDiff(
          `${style}: relative_diff_gt`,
          column((f) => f.relative_diff_gt),
          expected("relative_diff_gt"),
        );
        assert.deepEqual(
          readings.map(({ answerId }) => answerId),
          [...tensors.integers(`${key}.new_answer`).data],
          key,
        );
        if (detailed && style === "center" && window === facts.sweeps.windows[0]) {
          errors.probability("whole distributions", whole, expected("probabilities"));
        }
      }
    }
    await model.release();
    errors.settle(t);
  });
}

for (const name of CASE_NAMES) {
  test(`${name}: the pathway alone keeps the edges and gives the answer of transformers`, async (t) => {
    const opened = await openCase(name);
    const { facts, tensors, model } = opened;
    const { keep, edgesLeft } = facts.pathways;
    const range = ([first, last]: readonly [number, number]): LayerRange => [first - 1, last - 1];
    const { points } = planPathways(
      {
        kind: "pathways",
        crossFrame: range(keep.cross_frame),
        videoToQuestion: range(keep.video_to_question),
        questionToLast: range(keep.question_to_last),
        randomSeed: 1,
      },
      context(facts),
    );
    const [pathway] = points;
    assert.ok(pathway !== undefined);
    assert.ok(Math.abs((pathway.edgesLeft ?? 0) - edgesLeft) < 1e-12);
    const found = await distributions(opened, [pathway.branch]);
    const errors = new Errors();
    errors.probability("pathway", found, tensors.floats("pathway.probabilities").data);
    await model.release();
    errors.settle(t);
  });
}

for (const name of RANDOM_CASES) {
  test(`${name}: edges cut at random in every layer give transformers' answer`, async (t) => {
    const opened = await openCase(name);
    const { tensors, model } = opened;
    const errors = new Errors();
    const found = await distributions(opened, [randomBranch(opened)]);
    errors.probability("random control", found, tensors.floats("random.probabilities").data);
    await model.release();
    errors.settle(t);
  });
}

function context(facts: Facts): ExperimentContext {
  const groups = Object.entries(facts.groups).map(([name, spans]) => {
    return [name, positionsOf(spans)] as const;
  });
  const { positions: length, layers, heads } = facts;
  return { groups: new Map(groups), length, layers, heads };
}

/** Probabilities over the vocabulary at the last position of each branch: [branches, vocab]. */
async function distributions(opened: OpenCase, branches: readonly Branch[]): Promise<Float32Array> {
  const { model, tensors, facts } = opened;
  const width = model.spec.decoder.hiddenSize;
  const planned = planBranches(branches, facts.positions, facts.layers);
  const rows = new Float32Array(branches.length * width);
  const embeddings = tensors.floats("embeddings").data;
  await runPass(model, embeddings, planned, { maxRows: 1 << 20 }, async (state) => {
    if (state.layer < facts.layers - 1) return;
    branches.forEach((_, b) => {
      rows.set(state.branchRow(b, facts.positions - 1), b * width);
    });
  });
  const chosen = Int32Array.from({ length: facts.vocab }, (_, id) => id);
  const read = await unembed(model, rows, Array(branches.length).fill(true), { k: 1, chosen });
  return read.chosen;
}

function reading(probabilities: Float32Array, tokenizer: OpenCase["tokenizer"]): LastReading {
  const answerId = probabilities.reduce(
    (best, value, id) => (value > (probabilities[best] ?? 0) ? id : best),
    0,
  );
  return {
    answerId,
    answer: tokenizer.decode([answerId]),
    probabilityOf: (id) => probabilities[id] ?? Number.NaN,
  };
}

/** The clean run as transformers read it. */
function cleanReading({ facts }: Fixture): LastReading {
  const { baseAnswer, groundTruth } = facts;
  return {
    answerId: baseAnswer.id,
    answer: baseAnswer.text,
    probabilityOf: (id) => (id === baseAnswer.id ? baseAnswer : groundTruth).probability,
  };
}

/** The drawn edges of the fixture, which lists query · S + key, layer after layer. */
function randomBranch({ facts, tensors }: Fixture): Branch {
  const edges = tensors.integers("random.edges").data;
  let at = 0;
  const interventions = (facts.pathways.randomEdgesPerLayer ?? []).map((count, layer) => {
    const rows = new Map<number, number[]>();
    for (const edge of edges.subarray(at, at + count)) {
      const query = Math.floor(edge / facts.positions);
      rows.set(query, [...(rows.get(query) ?? []), edge % facts.positions]);
    }
    at += count;
    const listed = new Map([...rows].map(([query, keys]) => [query, Int32Array.from(keys)]));
    return {
      kind: "knockout",
      edges: { kind: "listed", rows: listed },
      layers: new Set([layer]),
    } as const;
  });
  assert.equal(at, edges.length);
  return { interventions };
}
