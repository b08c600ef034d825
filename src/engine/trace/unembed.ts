import type { ModelError } from "../../common/errors.ts";
import type { Unembedding } from "../graph/decoder.ts";
import type { OpenModel } from "../runtime/model.ts";
import { allFinite, notFinite } from "../runtime/not-finite.ts";
import { floats, floatsOf, indices, integersOf } from "../runtime/session.ts";

/** Logits (rows x vocabulary) that one unembedding call may hold. */
const MAX_LOGITS = 24_000_000;

/** What residual rows say about the next token. */
export interface Unembedded {
  readonly k: number;
  /** [rows, k]: the likeliest tokens, and their probabilities. */
  readonly topIds: Int32Array;
  readonly top: Float32Array;
  /** [rows, chosen]: probabilities of the tokens asked for. */
  readonly chosen: Float32Array;
}

/** How rows are read. */
export interface Reading {
  readonly k: number;
  /** Token ids whose probabilities are wanted. */
  readonly chosen: Int32Array;
  readonly unembedding?: Unembedding;
}

/**
 * Logit lens of residual rows: softmax over the whole vocabulary, fp32.
 *
 * @throws ModelError when logits are not finite.
 * @param rows [n, d]
 * @param normed for each row, whether the final norm comes first.
 */
export async function unembed(
  model: OpenModel,
  rows: Float32Array,
  normed: readonly boolean[],
  reading: Reading,
): Promise<Unembedded> {
  const { hiddenSize, vocabSize } = model.spec.decoder;
  const session = await model.unembedding(reading.unembedding ?? "head");
  const n = normed.length;
  const k = Math.min(reading.k, vocabSize);
  const out = {
    k,
    topIds: new Int32Array(n * k),
    top: new Float32Array(n * k),
    chosen: new Float32Array(n * reading.chosen.length),
  };
  // The graph gathers at least one token, so that no extent is zero.
  const ids = reading.chosen.length > 0 ? reading.chosen : Int32Array.of(0);
  const atOnce = Math.max(1, Math.floor(MAX_LOGITS / vocabSize));
  for (let first = 0; first < n; first += atOnce) {
    const end = Math.min(n, first + atOnce);
    const flags = Float32Array.from(normed.slice(first, end), Number);
    const outputs = await session.run({
      x: floats(rows.subarray(first * hiddenSize, end * hiddenSize), [end - first, hiddenSize]),
      normed: floats(flags, [end - first, 1]),
      k: indices([k]),
      ids: indices(ids),
    });
    if (!allFinite(floatsOf(outputs, "sum"))) throw await refuseLogits(model, rows, reading);
    out.topIds.set(integersOf(outputs, "top_ids"), first * k);
    out.top.set(floatsOf(outputs, "top"), first * k);
    if (reading.chosen.length > 0) {
      out.chosen.set(floatsOf(outputs, "chosen"), first * reading.chosen.length);
    }
  }
  return out;
}

async function refuseLogits(
  { spec }: OpenModel,
  rows: Float32Array,
  { unembedding }: Reading,
): Promise<ModelError> {
  const { finalNorm, head, embedding } = spec.decoder;
  const made = [unembedding === "embedding" ? embedding : head, finalNorm];
  const otherwise = allFinite(rows)
    ? "the numbers of the output head are not those of a trained model"
    : "the residual stream is not finite";
  return notFinite(spec.root, "the logits are not finite", made, otherwise);
}
