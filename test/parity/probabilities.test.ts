import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { type RandomSizes, randomCheckpoint } from "../support/random-checkpoint.ts";
import { Errors } from "./measure.ts";

const SETTINGS = { provider: "cpu", threads: 2, memoryBudgetBytes: 4e9 } as const;
/** Sizes of the embedded model's vocabulary, Llama's and Qwen2's. */
const VOCABULARIES = [450, 32_000, 151_936] as const;
const WIDTH = 48;
const K = 10;

/**
 * Rows that lie along one token's row of the head: how far its logit stands above the log of all
 * others' sum. The first is peaked, with a long tail; the others as a trained model leaves them, and
 * flat. Whether the final norm comes first.
 */
const ROWS = [
  { margin: 6, normed: false },
  { margin: 2, normed: false },
  { margin: -4, normed: false },
  { margin: 0, normed: true },
] as const;

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "flowprobe-probabilities-"));
});
after(() => rmSync(root, { recursive: true }));

/** A stored float32 matrix or vector. */
async function stored({ file, offset, length }: { file: string; offset: number; length: number }) {
  const bytes = new Uint8Array(length);
  const handle = await open(file, "r");
  await handle.read(bytes, 0, length, offset);
  await handle.close();
  return new Float32Array(bytes.buffer);
}

/** A row along one token's, whose logit stands so far above the rest. */
function rowAlong(target: Float32Array, vocab: number, margin: number): Float32Array {
  // Logits of other tokens are nearly normal, as wide as the peak times the cosine's spread.
  let peak = 0;
  for (let i = 0; i < 50; i++) peak = margin + Math.log(vocab) + peak ** 2 / (2 * WIDTH);
  const square = target.reduce((sum, value) => sum + value * value, 0);
  return target.map((value) => (value * peak) / square);
}

/** Probabilities over the vocabulary of one row, in float64 from the weights on. */
function expectedOf(
  row: Float32Array,
  scale: Float32Array | undefined,
  head: Float32Array,
): Float64Array {
  const meanSquare = row.reduce((sum, value) => sum + value * value, 0) / WIDTH;
  const normed = Float64Array.from(row, (value, i) =>
    scale === undefined ? value : (value / Math.sqrt(meanSquare + 1e-5)) * (scale[i] ?? 0),
  );
  const logits = new Float64Array(head.length / WIDTH);
  for (let id = 0; id < logits.length; id++) {
    let sum = 0;
    for (let i = 0; i < WIDTH; i++) sum += (normed[i] ?? 0) * (head[id * WIDTH + i] ?? 0);
    logits[id] = sum;
  }
  const highest = logits.reduce((most, logit) => Math.max(most, logit));
  const shares = logits.map((logit) => Math.exp(logit - highest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

for (const [vocab, mapped] of VOCABULARIES.flatMap((each) => [
  [each, false] as const,
  [each, true] as const,
])) {
  const how = mapped ? "weights in the file" : "weights in memory";
  test(`${vocab} words, ${how}: probabilities are float64's`, async (context) => {
    const sizes = {
      hidden: WIDTH,
      inner: 8,
      layers: 1,
      heads: 2,
      kvHeads: 1,
      headDim: 8,
      vocab,
      dtype: "F32",
      seed: vocab,
    } as const satisfies RandomSizes;
    const spec = await readModelSpec(await randomCheckpoint(root, sizes));
    const model = await OpenModel.open(spec, SETTINGS, { keepWidened: !mapped });
    const scale = await stored(spec.decoder.finalNorm);
    const errors = new Errors();
    const peaks: number[] = [];
    for (const unembedding of ["head", "embedding"] as const) {
      const head = await stored(spec.decoder[unembedding]);
      const likely = 123;
      const rows = new Float32Array(ROWS.length * WIDTH);
      const target = head.subarray(likely * WIDTH, (likely + 1) * WIDTH);
      ROWS.forEach(({ margin }, row) => {
        rows.set(rowAlong(target, vocab, margin), row * WIDTH);
      });
      const chosen = Int32Array.of(likely, 0, vocab - 1);
      const flags = ROWS.map(({ normed }) => normed);
      const read = await unembed(model, rows, flags, { k: K, chosen, unembedding });
      for (let row = 0; row < ROWS.length; row++) {
        const mine = rows.subarray(row * WIDTH, (row + 1) * WIDTH);
        const expected = expectedOf(mine, flags[row] === true ? scale : undefined, head);
        const top = read.topIds.subarray(row * K, (row + 1) * K);
        const best = [...expected].sort((a, b) => b - a);
        peaks.push(best[0] ?? 0);
        errors.probability(
          "likeliest tokens",
          read.top.subarray(row * K, (row + 1) * K),
          best.slice(0, K),
        );
        errors.probability(
          "at the ids told",
          read.top.subarray(row * K, (row + 1) * K),
          Array.from(top, (id) => expected[id] ?? Number.NaN),
        );
        errors.probability(
          "tokens asked for",
          read.chosen.subarray(row * chosen.length, (row + 1) * chosen.length),
          Array.from(chosen, (id) => expected[id] ?? Number.NaN),
        );
      }
    }
    await model.release();
    context.diagnostic(`largest probabilities: ${peaks.map((p) => p.toFixed(5)).join(", ")}`);
    assert.ok(
      peaks.some((p) => p > 0.98 && p < 0.9999),
      "one row is peaked",
    );
    assert.ok(Math.min(...peaks) < 0.1, "one is flat");
    errors.settle(context);
  });
}
