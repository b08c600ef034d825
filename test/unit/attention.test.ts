import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type AttentionVariant, attentionGraph } from "../../src/engine/graph/attention.ts";
import { floats, floatsOf, Session } from "../../src/engine/runtime/session.ts";
import { Noise } from "../support/random-checkpoint.ts";

const SHAPE = { heads: 4, kvHeads: 2, headDim: 32 } as const;
const OPTIONS = { provider: "cpu", threads: 2, keepWidened: true } as const;
const ROWS = 6;
const GROUPS = 5;
/** Largest errors of weights and of group mass; of contexts, in units of the largest value. */
const TOLERANCE = 1e-5;

/** Scores of a row over the keys: one key that stands out, and a tail far below it or near it. */
const SCORES = {
  "a tail below 6e-8 of the peak": (noise: number) => -17.5 + 0.3 * noise,
  "an attention sink": (noise: number) => -13 + 1.5 * noise,
  "a flat row": (noise: number) => 0.1 * noise,
} as const;

const sessions: Session[] = [];
after(async () => {
  for (const session of sessions) await session.release();
});

/** Row-wise softmax of scores [ROWS, t], in float64. */
function softmax(scores: Float32Array, t: number): Float64Array[] {
  return Array.from({ length: ROWS }, (_, row) => {
    const mine = Float64Array.from(scores.subarray(row * t, (row + 1) * t));
    const highest = mine.reduce((most, score) => Math.max(most, score));
    const shares = mine.map((score) => Math.exp(score - highest));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return shares.map((share) => share / total);
  });
}

async function largestErrors(own: AttentionVariant["own"], t: number, scores: Float32Array) {
  const { heads, kvHeads, headDim } = SHAPE;
  const plain = own === "none";
  const session = await Session.open(
    attentionGraph(SHAPE, { own, weights: plain, mass: plain }),
    "",
    OPTIONS,
  );
  sessions.push(session);
  const width = kvHeads * headDim;
  const values = new Noise(5).draw(t * width, 1);
  const shared = plain ? t : t - 100;
  const keyGroups = Float32Array.from({ length: t * GROUPS }, (_, i) => {
    const key = Math.floor(i / GROUPS);
    return i % GROUPS === key % GROUPS || (i % GROUPS === 0 && key > 100) ? 1 : 0;
  });
  const queryGroups = Float32Array.from({ length: ROWS * ROWS }, (_, i) =>
    i % (ROWS + 1) === 0 ? 1 : 0,
  );
  // Queries of zero: the scores are the bias alone.
  const outputs = await session.run({
    q: floats(new Float32Array(ROWS * heads * headDim), [1, ROWS, heads * headDim]),
    ks: floats(new Float32Array(shared * width), [shared, width]),
    vs: floats(values.subarray(0, shared * width), [shared, width]),
    bias: floats(scores, [1, 1, 1, ROWS, t]),
    ...(plain
      ? {
          key_groups: floats(keyGroups, [t, GROUPS]),
          query_groups: floats(queryGroups, [ROWS, ROWS]),
        }
      : {
          ko: floats(new Float32Array((t - shared) * width), [1, t - shared, width]),
          vo: floats(values.subarray(shared * width), [1, t - shared, width]),
        }),
  });
  const largest = { weights: 0, mass: 0, context: 0 };
  const note = (what: keyof typeof largest, found: number | undefined, expected: number) => {
    largest[what] = Math.max(largest[what], Math.abs((found ?? Number.NaN) - expected));
  };
  const context = floatsOf(outputs, "context");
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [row, expected] of softmax(scores, t).entries()) {
    for (let head = 0; head < heads; head++) {
      const from = Math.floor((head * kvHeads) / heads) * headDim;
      for (let c = 0; c < headDim; c++) {
        const sum = expected.reduce(
          (s, w, key) => s + w * (values[key * width + from + c] ?? 0),
          0,
        );
        note("context", (context[(row * heads + head) * headDim + c] ?? 0) / scale, sum / scale);
      }
      if (!plain) continue;
      const at = head * ROWS + row;
      const weights = floatsOf(outputs, "weights");
      const mass = floatsOf(outputs, "mass");
      expected.forEach((w, key) => {
        note("weights", weights[at * t + key], w);
      });
      for (let group = 0; group < GROUPS; group++) {
        const sum = expected.reduce((s, w, k) => s + w * (keyGroups[k * GROUPS + group] ?? 0), 0);
        note("mass", mass[at * GROUPS + group], sum);
      }
    }
  }
  return largest;
}

for (const t of [1_250, 4_096, 12_000]) {
  for (const [name, scoreOf] of Object.entries(SCORES)) {
    test(`attention over ${t} keys, ${name}, is float64's`, async (context) => {
      const scores = new Noise(t).draw(ROWS * t, 1).map(scoreOf);
      if (name !== "a flat row") {
        for (let row = 0; row < ROWS; row++) scores[row * t + ((row * 997) % t)] = 0;
      }
      for (const own of ["none", "apart", "merged"] as const) {
        const errors = await largestErrors(own, t, scores);
        for (const [what, error] of Object.entries(errors)) {
          if (error > 0) context.diagnostic(`${own}: ${what} ${error.toExponential(1)}`);
          assert.ok(error <= TOLERANCE, `${own}: ${what} ${error}`);
        }
      }
    });
  }
}
