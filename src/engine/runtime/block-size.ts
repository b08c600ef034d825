import type { LocatedTensor } from "../checkpoint/weights.ts";
import { linear } from "../graph/blocks.ts";
import { Graph } from "../graph/onnx.ts";
import { floats, Session, type SessionOptions } from "./session.ts";

const MIB = 1 << 20;
/**
 * Which is quicker depends on the caches. The first stands where nothing can be measured: every block
 * is a part of a graph, and twice as many take twice as long to open.
 */
const CANDIDATES = [16 * MIB, 8 * MIB] as const;
/** What smaller blocks have to gain, as a share of the time, to be worth it. */
const LEAST_GAIN = 0.15;
/** Each candidate's quickest counts: other programs only add to a time. */
const ROUNDS = 3;
/** Weights that a trial multiplies; more would take longer and tell no more. */
const TRIAL_WEIGHTS = 16 * MIB;

/**
 * The size of the blocks in which half-precision weights are widened, in bytes of float32: the
 * quickest of a few at a product of one row with a matrix of the model, where widening counts most.
 * Takes some hundredths of a second, and reads weights that the first pass reads anyway.
 *
 * @param weight a large matrix of the model; where it is stored as float32, nothing is measured.
 */
export async function chooseBlockBytes(
  root: string,
  weight: LocatedTensor,
  options: SessionOptions,
): Promise<number> {
  const [usual] = CANDIDATES;
  const [out = 1, width = 1] = weight.shape;
  const count = Math.min(out, Math.floor(TRIAL_WEIGHTS / width));
  if (weight.dtype === "F32" || 4 * count * width < 2 * Math.max(...CANDIDATES)) return usual;
  const trials: { readonly bytes: number; readonly session: Session; quickest: number }[] = [];
  for (const bytes of CANDIDATES) {
    const g = new Graph(root, { precision: "float32", blockBytes: bytes });
    const rows = { start: 0, count };
    const y = linear(g, g.input("x", ["n", width]), { weight, rows: [rows], bias: undefined });
    g.output("y", y, ["n", count]);
    const session = await Session.open(g.encode(), root, options);
    trials.push({ bytes, session, quickest: Number.POSITIVE_INFINITY });
  }
  const x = floats(new Float32Array(width).fill(1), [1, width]);
  // The first run reads the weights from the disk, for all.
  await trials[0]?.session.run({ x });
  for (let round = 0; round < ROUNDS; round++) {
    for (const trial of trials) {
      const started = performance.now();
      await trial.session.run({ x });
      trial.quickest = Math.min(trial.quickest, performance.now() - started);
    }
  }
  for (const { session } of trials) await session.release();
  const best = trials.reduce((known, trial) =>
    trial.quickest < (1 - LEAST_GAIN) * known.quickest ? trial : known,
  );
  return best.bytes;
}
