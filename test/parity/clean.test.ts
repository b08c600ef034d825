import assert from "node:assert/strict";
import { test } from "node:test";
import { runPass } from "../../src/engine/trace/pass.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { CASE_NAMES, DETAILED_CASES, FAMILY_CASES, positionsOf, slice } from "./fixtures.ts";
import { Errors } from "./measure.ts";
import {
  familyPrompt,
  mergedEmbeddings,
  type OpenCase,
  openCase,
  pixelValues,
  promptItem,
  promptTokens,
} from "./open.ts";
import { causalHalf, massRequest, row, rowsAt } from "./reading.ts";

for (const [name, mapped] of [...CASE_NAMES, ...FAMILY_CASES].flatMap((each) => [
  [each, false] as const,
  [each, true] as const,
])) {
  const how = mapped ? "with weights left in the file" : "with weights in memory";
  test(`${name}: ${how}, every stage from pixels to probabilities is transformers'`, async (t) => {
    const opened = await openCase(name, mapped);
    const errors = new Errors();
    const embeddings = await visionStages(opened, errors);
    await decoderStages(opened, embeddings, errors);
    await opened.model.release();
    errors.settle(t);
  });
}

for (const name of DETAILED_CASES) {
  test(`${name}: every variant of the logit lens is transformers'`, async (t) => {
    const opened = await openCase(name);
    const { model, tensors, facts } = opened;
    const errors = new Errors();
    const embeddings = tensors.floats("embeddings").data;
    const video = positionsOf(facts.groups.video ?? []);
    const variants = [
      { key: "lens.raw", norm: false, unembedding: "head" },
      { key: "lens.embedding", norm: false, unembedding: "embedding" },
      { key: "lens.normed_embedding", norm: true, unembedding: "embedding" },
    ] as const;
    await runPass(model, embeddings, [], { maxRows: 1 << 20 }, async ({ layer, hidden }) => {
      const rows = rowsAt(hidden, video, model.spec.decoder.hiddenSize);
      for (const { key, norm, unembedding } of variants) {
        const flags = Array.from(video, () => norm || layer === facts.layers - 1);
        const read = await unembed(model, rows, flags, {
          k: 10,
          chosen: new Int32Array(),
          unembedding,
        });
        checkTop(opened, key, layer, read, errors);
      }
    });
    await model.release();
    errors.settle(t);
  });
}

/** Vision tower, projector, pooling, merging; returns the merged prompt [S, d]. */
async function visionStages(opened: OpenCase, errors: Errors): Promise<Float32Array> {
  const { model, tensors, facts, tokenizer } = opened;
  const arrived = pixelValues(opened);
  if (tensors.has("pixel_values")) {
    errors.tensor("pixel values", arrived, tensors.floats("pixel_values").data);
  }
  const perFrame = arrived.length / facts.frames[0];
  const pixels = new Float32Array(facts.frameOrder.length * perFrame);
  facts.frameOrder.forEach((frame, i) => {
    pixels.set(arrived.subarray(frame * perFrame, (frame + 1) * perFrame), i * perFrame);
  });
  const { tokens, features, grid } = await model.videoTokens(
    pixels,
    facts.frameOrder.length,
    () => {},
  );
  assert.equal(grid.frames, facts.videoFrames);
  assert.equal(grid.rows * grid.columns, facts.tokensPerFrame);
  const projected = tensors.floats("vision.projected");
  const size = projected.data.length / facts.frames[0];
  facts.frameOrder.forEach((frame, i) => {
    const mine = features.subarray(i * size, (i + 1) * size);
    errors.tensor("vision features", mine, slice(projected, frame));
  });
  errors.tensor("pooled video tokens", tokens, tensors.floats("vision.pooled").data);
  const { tokens: prompt } =
    facts.seen === undefined
      ? promptTokens(opened, tokenizer, promptItem(opened))
      : await familyPrompt(opened, model.spec, tokenizer);
  const merged = await mergedEmbeddings(model, prompt, tokens);
  errors.tensor("merged embeddings", merged, tensors.floats("embeddings").data);
  return merged;
}

async function decoderStages(
  opened: OpenCase,
  embeddings: Float32Array,
  errors: Errors,
): Promise<void> {
  const { model, tensors, facts } = opened;
  const width = model.spec.decoder.hiddenSize;
  const everyRow = !tensors.has("attention.rows");
  const weightRows = everyRow
    ? Int32Array.from({ length: facts.positions }, (_, i) => i)
    : tensors.integers("attention.rows").data;
  const attention = tensors.floats("attention");
  const mass = massRequest(
    facts.massGroups.map((group) => positionsOf(facts.groups[group] ?? [])),
    facts.positions,
  );
  const hidden = tensors.floats("hidden");
  const vocabulary = Int32Array.from({ length: facts.vocab }, (_, id) => id);
  const request = { mass, weightRows, maxRows: 1 << 20 };
  await runPass(model, embeddings, [], request, async (state) => {
    const { layer } = state;
    const last = layer === facts.layers - 1;
    const expected = last ? tensors.floats("hidden.last_raw").data : slice(hidden, layer);
    errors.tensor("hidden states", state.hidden, expected);
    const weights = state.weights ?? new Float32Array();
    for (let head = 0; head < facts.heads; head++) {
      const size = weightRows.length * facts.positions;
      const mine = weights.subarray(head * size, (head + 1) * size);
      errors.probability(
        "attention weights",
        everyRow ? causalHalf(mine, facts.positions) : mine,
        slice(attention, layer, head),
      );
    }
    errors.probability(
      "attention group mass",
      state.mass ?? [],
      slice(tensors.floats("mass"), layer),
    );
    await readings(opened, layer, state.hidden, errors);
    if (last) {
      const every = everyRow ? state.hidden : row(state.hidden, facts.positions - 1, width);
      const read = await unembed(model, every, Array(every.length / width).fill(true), {
        k: 1,
        chosen: vocabulary,
      });
      const logits = tensors.floats(everyRow ? "logits" : "logits.last").data;
      checkLogits(read.chosen, logits, facts.vocab, errors);
      assert.equal(read.topIds.at(-1), facts.baseAnswer.id);
    }
  });
}

/** Answer by layer and logit lens after one layer. */
async function readings(
  opened: OpenCase,
  layer: number,
  hidden: Float32Array,
  errors: Errors,
): Promise<void> {
  const { model, tensors, facts } = opened;
  const width = model.spec.decoder.hiddenSize;
  const chosen = Int32Array.from(facts.optionIds);
  const last = row(hidden, facts.positions - 1, width);
  for (const norm of [true, false]) {
    const flags = [norm || layer === facts.layers - 1];
    const read = await unembed(model, last, flags, { k: 1, chosen });
    const expected = slice(tensors.floats(norm ? "answer.normed" : "answer.raw"), layer);
    errors.probability("answer by layer", read.chosen, expected);
  }
  const video = positionsOf(facts.groups.video ?? []);
  const flags = Array.from(video, () => true);
  const read = await unembed(model, rowsAt(hidden, video, width), flags, {
    k: 10,
    chosen: new Int32Array(),
  });
  checkTop(opened, "lens", layer, read, errors);
}

/** Probabilities give logits up to a constant, which the expected logits' own softmax removes. */
function checkLogits(
  probabilities: Float32Array,
  logits: Float32Array,
  vocab: number,
  errors: Errors,
): void {
  for (let at = 0; at < logits.length; at += vocab) {
    const mine = probabilities.subarray(at, at + vocab);
    const expected = logits.subarray(at, at + vocab);
    const highest = expected.reduce((most, value) => Math.max(most, value));
    const total = expected.reduce((sum, value) => sum + Math.exp(value - highest), 0);
    const shift = highest + Math.log(total);
    errors.probability(
      "probabilities of the next token",
      mine,
      expected.map((value) => Math.exp(value - shift)),
    );
    errors.tensor(
      "logits (up to a constant)",
      mine.map(Math.log),
      expected.map((value) => value - shift),
    );
  }
}

/** The likeliest tokens of every video position, which may swap places only where they tie. */
function checkTop(
  { tensors }: OpenCase,
  key: string,
  layer: number,
  read: { topIds: Int32Array; top: Float32Array },
  errors: Errors,
): void {
  const probabilities = slice(tensors.floats(`${key}.probabilities`), layer);
  const ids = tensors.integers(`${key}.ids`).data;
  errors.probability("logit lens", read.top, probabilities);
  const first = layer * probabilities.length;
  read.topIds.forEach((id, i) => {
    if (ids[first + i] === id) return;
    const start = i - (i % 10);
    const place = ids.subarray(first + start, first + start + 10).indexOf(id);
    const theirs = probabilities[start + (place < 0 ? 9 : place)] ?? 0;
    errors.probability("logit lens", [read.top[i] ?? 0], [theirs]);
  });
}
