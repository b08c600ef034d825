import assert from "node:assert/strict";
import { test } from "node:test";
import { planGeneration } from "../../src/engine/experiments/generation.ts";
import { planKnockout } from "../../src/engine/experiments/knockout.ts";
import type { Positions } from "../../src/engine/families/shared/rope.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { planBranches } from "../../src/engine/trace/plan.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import type { PromptTokens } from "../../src/prompts/groups.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { evenIndices } from "../../src/video/even-indices.ts";
import { type PixelValues, preprocess } from "../../src/video/preprocess.ts";
import { type CaseName, positionsOf, slice } from "./fixtures.ts";
import { Errors } from "./measure.ts";
import { type OpenCase, openCase, pixelValues } from "./open.ts";
import { row } from "./reading.ts";

/** A test of one case that measures errors; `mapped` as a large checkpoint is opened. */
export function measured(
  name: CaseName,
  title: string,
  body: (opened: OpenCase, errors: Errors) => Promise<void>,
  mapped = false,
): void {
  test(`${name}: ${title}`, async (t) => {
    const opened = await openCase(name, mapped);
    const errors = new Errors();
    await body(opened, errors);
    await opened.model.release();
    errors.settle(t);
  });
}

/** Greedy tokens of a case's prompt. */
export interface Answers {
  readonly steps: number;
  readonly ids: readonly number[];
  readonly probabilities: readonly number[];
}

/** Frames that a processor's own rule chose. */
export interface Sampled {
  readonly total: number;
  readonly fps: number;
  readonly num_frames?: number;
  readonly rate?: number;
  readonly max_frames?: number;
  /** All of them, or of more than 100: how many, the one a third of the way, the last. */
  readonly indices: readonly number[];
}

/** The product's frames of each clip, held against the processor's. */
export function checkSampling(sampled: readonly Sampled[], multiple: number, usual: number): void {
  for (const asked of sampled) {
    const { total, fps, num_frames: frames, rate, max_frames: most = usual, indices } = asked;
    const rule = { least: 4, most, multiple, ...(rate === undefined ? {} : { perSecond: rate }) };
    const found = evenIndices(total, fps, frames, rule);
    const told =
      found.length > 100
        ? [found.length, found[Math.floor(found.length / 3)], found.at(-1)]
        : found;
    assert.deepEqual(told, indices, JSON.stringify(asked));
  }
}

/** The case's frames as the product prepares them, held against the processor's. */
export function checkPixels(opened: OpenCase, errors: Errors): PixelValues {
  const { frames, facts, images, tensors } = opened;
  const [count, height, width] = facts.frames;
  const size = height * width * 3;
  const pictures = Array.from({ length: count }, (_, i) => ({
    height,
    width,
    data: frames.subarray(i * size, (i + 1) * size),
  }));
  const found = preprocess(pictures, images);
  const { shape } = found;
  assert.deepEqual([shape[0], shape[2], shape[3], shape[1]], tensors.bytes("pixels").shape);
  // As steps of the 8-bit picture, which normalising stretched by 1 / (255 · std).
  const plane = shape[2] * shape[3];
  const std = images.normalize?.std ?? [1, 1, 1];
  const steps = (values: Float32Array) =>
    values.map((value, i) => value * 255 * (std[Math.floor(i / plane) % 3] ?? 1));
  errors.pixels("pixels", steps(found.data), steps(pixelValues(opened)));
  return found;
}

/** Hidden states of every layer, attention and logits. */
export async function checkDecoder(
  opened: OpenCase,
  embeddings: Float32Array,
  positions: Positions | undefined,
  errors: Errors,
): Promise<void> {
  const { model, tensors, facts } = opened;
  const width = model.spec.decoder.hiddenSize;
  const weightRows = tensors.integers("attention.rows").data;
  const attention = tensors.floats("attention");
  const request = { positions, weightRows, maxRows: 1 << 20 };
  await runPass(model, embeddings, [], request, async ({ layer, hidden, weights }) => {
    const last = layer === facts.layers - 1;
    errors.tensor(
      "hidden states",
      hidden,
      last ? tensors.floats("hidden.last_raw").data : slice(tensors.floats("hidden"), layer),
    );
    errors.probability("attention weights", weights ?? [], slice(attention, layer));
    if (!last) return;
    const vocabulary = Int32Array.from({ length: facts.vocab }, (_, id) => id);
    const end = row(hidden, facts.positions - 1, width);
    const read = await unembed(model, end, [true], { k: 1, chosen: vocabulary });
    assert.equal(read.topIds[0], facts.baseAnswer.id);
    // Probabilities give logits up to a constant.
    const logits = tensors.floats("logits.last").data;
    const highest = logits.reduce((most, value) => Math.max(most, value));
    const total = logits.reduce((sum, value) => sum + Math.exp(value - highest), 0);
    const shift = highest + Math.log(total);
    errors.tensor(
      "logits (up to a constant)",
      read.chosen.map(Math.log),
      logits.map((value) => value - shift),
    );
  });
}

/** Every target, series and centre of the case's knockout sweep. */
export async function checkSweep(
  opened: OpenCase,
  positions: Positions | undefined,
  errors: Errors,
): Promise<void> {
  const { facts, tensors, model } = opened;
  const [window = 0] = facts.sweeps.windows;
  const targets = Object.keys(facts.sweeps.targets) as Parameters<
    typeof planKnockout
  >[0]["targets"];
  const groups = new Map(
    Object.entries(facts.groups).map(([group, spans]) => [group, positionsOf(spans)] as const),
  );
  const { positions: length, layers, heads } = facts;
  const { points } = planKnockout(
    { kind: "knockout", targets, window, style: "center" },
    { groups, length, layers, heads },
  );
  const planned = planBranches(
    points.map(({ branch }) => branch),
    length,
    layers,
  );
  const width = model.spec.decoder.hiddenSize;
  const rows = new Float32Array(points.length * width);
  const request = { positions, maxRows: 1 << 20 };
  const embeddings = tensors.floats("embeddings").data;
  await runPass(model, embeddings, planned, request, async (state) => {
    if (state.layer < layers - 1) return;
    points.forEach((_, b) => {
      rows.set(state.branchRow(b, length - 1), b * width);
    });
  });
  const chosen = Int32Array.of(facts.baseAnswer.id, facts.groundTruth.id);
  const flags = points.map(() => true);
  const read = await unembed(model, rows, flags, { k: 1, chosen });
  const score = (column: number) => points.map((_, i) => read.chosen[i * 2 + column] ?? 0);
  const key = `sweep.center.${window}`;
  errors.probability("new_score", score(0), tensors.floats(`${key}.new_score`).data);
  errors.probability("new_score_gt", score(1), tensors.floats(`${key}.new_score_gt`).data);
  assert.deepEqual([...read.topIds], [...tensors.integers(`${key}.new_answer`).data]);
}

/** Greedy tokens after the case's prompt. */
export async function checkAnswers(
  opened: OpenCase,
  tokens: PromptTokens,
  positions: Positions | undefined,
  answers: Answers,
  errors: Errors,
): Promise<void> {
  const { facts, tensors, model, tokenizer } = opened;
  const told: RunEvent[] = [];
  const work = planGeneration(
    { kind: "generation", maxTokens: answers.steps, cuts: [] },
    { groups: tokens.groups, length: tokens.length, layers: facts.layers, heads: facts.heads },
  );
  await work.run("generation", {
    model,
    prompt: {
      embeddings: tensors.floats("embeddings").data,
      positions,
      length: tokens.length,
      options: [],
      truthId: undefined,
      tokenText: (id) => tokenizer.tokenText(id),
      observer: () => ({ headAveraged: true }),
    },
    decode: (ids) => tokenizer.decode(ids),
    settings: { memoryBudgetBytes: 1 << 30, signal: new AbortController().signal },
    sink: (event) => told.push(event),
  });
  const found = told.flatMap((event) => (event.type === "generation.token" ? [event.token] : []));
  const ends = model.spec.endTokenIds;
  const ids = answers.ids.filter((id) => !ends.includes(id));
  assert.deepEqual(
    found.map(({ id }) => id),
    ids,
  );
  errors.probability(
    "probabilities",
    found.map(({ probability }) => probability),
    answers.probabilities.slice(0, ids.length),
  );
}
