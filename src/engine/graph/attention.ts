import { reshape, transpose } from "./blocks.ts";
import { Graph, type Value } from "./onnx.ts";

/** Extents of an attention; no weight depends on them, so one set of sessions serves every layer. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** What an attention graph takes and gives beside the context. */
export interface AttentionVariant {
  /**
   * Whether each branch's own keys and values follow the shared ones: scored `apart`, so that the
   * shared keys are one product for all branches (best for few rows); or `merged` with a copy of the
   * shared ones for each branch, which spares joining and parting the scores (best for many rows).
   */
  readonly own: "none" | "apart" | "merged";
  /** Gives the weights after the softmax. */
  readonly weights: boolean;
  /** Gives the weights summed over key groups and averaged over query groups. */
  readonly mass: boolean;
}

/** Keys are parted by lengths of the sequence, and each length by turns. */
const STRETCH_SIDES = 4;
/**
 * Parts of the keys whose weights are summed apart. The runtime's softmax divides by the sum of a few
 * float32 accumulators, which lose small terms beside a large one (3e-5 of the whole at 16,000 keys):
 * its weights are divided again by their sum, which comes part by part with the product of weights
 * and values.
 */
const STRETCHES = STRETCH_SIDES * STRETCH_SIDES;

/**
 * Softmax attention of B branches' query rows over shared keys (the clean run's) and, after them,
 * each branch's own. The G = heads / kv_heads query heads that read one key head go together, so
 * that the scores of all branches against a shared key head can be one matrix product.
 *
 * Inputs: q [B, n, heads · dim], rotated and scaled; ks, vs [s, kv_heads · dim]; with `own`, ko, vo
 * [B, m, kv_heads · dim]; bias [kv_heads or 1, B or 1, G or 1, n, t], t = s + m, added to the scores;
 * with `mass`, key_groups [t, K] and query_groups [Q, n].
 * Outputs: context [B, n, heads · dim]; with `weights`, weights [B, heads, n, t]; with `mass`,
 * mass [B, heads, Q, K].
 */
export function attentionGraph(shape: AttentionShape, variant: AttentionVariant): Uint8Array {
  const { heads, kvHeads, headDim } = shape;
  const group = heads / kvHeads;
  const width = kvHeads * headDim;
  const g = new Graph("");
  const q = g.input("q", ["B", "n", heads * headDim]);
  const ks = g.input("ks", ["s", width]);
  const vs = g.input("vs", ["s", width]);
  const hasOwn = variant.own !== "none";
  const ko = hasOwn ? g.input("ko", ["B", "m", width]) : undefined;
  const vo = hasOwn ? g.input("vo", ["B", "m", width]) : undefined;
  const bias = g.input("bias", ["kv1", "B1", "G1", "n", "t"]);

  const concat = (...parts: Value[]) => g.op("Concat", parts, { axis: 0 });
  const extents = (x: Value, start: number, end: number) => g.op("Shape", [x], { start, end });
  const rest = g.ints([-1]);

  const q5 = transpose(g, reshape(g, q, [0, 0, kvHeads, group, headDim]), [2, 0, 3, 1, 4]);
  const rows = concat(extents(q5, 0, 4), rest);
  // Whatever was flattened for a product comes back as [kv_heads, B, G, n, ·].
  const unflatten = (x: Value) => g.op("Reshape", [x, rows]);
  const branches = extents(q5, 0, 2);

  // [B, m, kv_heads · dim] to [kv_heads, B, m, dim], or its keys to [kv_heads, B, dim, m].
  const perBranch = (x: Value, perm: readonly number[]) =>
    transpose(g, reshape(g, x, [0, 0, kvHeads, headDim]), perm);
  const keysOf = (x: Value) => perBranch(x, [2, 0, 3, 1]);
  const valuesOf = (x: Value) => perBranch(x, [2, 0, 1, 3]);
  const queries = () => g.op("Reshape", [q5, concat(branches, rest, g.ints([headDim]))]);
  const rowsOver = (w: Value, count: Value) => g.op("Reshape", [w, concat(branches, rest, count)]);
  const softmax = (scores: Value) => g.op("Softmax", [g.op("Add", [scores, bias])], { axis: -1 });
  const stretches = stretchMembership(g, extents(bias, 4, 5));
  /** Values [·, keys, dim] with their keys' stretches beside them: [·, keys, dim + stretches]. */
  const withStretches = (values: Value, of: Value) => {
    const shape = concat(extents(values, 0, -1), g.ints([STRETCHES]));
    return g.op("Concat", [values, g.op("Expand", [of, shape])], { axis: -1 });
  };

  let weights: Value;
  /** The weights' sums over values and over stretches: [kv_heads, B, G, n, dim + STRETCHES]. */
  let sums: Value;
  if (variant.own === "merged" && ko !== undefined && vo !== undefined) {
    const copies = concat(extents(ko, 0, 1), g.ints([1, 1]));
    const merge = (shared: Value, own: Value) => {
      const each = g.op("Expand", [reshape(g, shared, [1, -1, width]), copies]);
      return g.op("Concat", [each, own], { axis: 1 });
    };
    const keys = merge(ks, ko);
    weights = softmax(unflatten(g.op("MatMul", [queries(), keysOf(keys)])));
    const flat = rowsOver(weights, extents(keys, 1, 2));
    const values = withStretches(valuesOf(merge(vs, vo)), stretches);
    sums = unflatten(g.op("MatMul", [flat, values]));
  } else {
    const sharedKeys = transpose(g, reshape(g, ks, [-1, kvHeads, headDim]), [1, 2, 0]);
    let scores = unflatten(g.op("MatMul", [reshape(g, q5, [kvHeads, -1, headDim]), sharedKeys]));
    if (ko !== undefined) {
      const onOwn = unflatten(g.op("MatMul", [queries(), keysOf(ko)]));
      scores = g.op("Concat", [scores, onOwn], { axis: -1 });
    }
    weights = softmax(scores);
    const sharedCount = extents(ks, 0, 1);
    const sharedValues = transpose(g, reshape(g, vs, [-1, kvHeads, headDim]), [1, 0, 2]);
    const overShared = (w: Value, of: Value) => {
      const flat = g.op("Reshape", [w, concat(g.ints([kvHeads, -1]), sharedCount)]);
      return unflatten(g.op("MatMul", [flat, withStretches(sharedValues, of)]));
    };
    if (ko === undefined || vo === undefined) {
      sums = overShared(weights, stretches);
    } else {
      const ownCount = extents(ko, 1, 2);
      const counts = concat(sharedCount, ownCount);
      const parted = (x: Value, axis: number) =>
        g.ops("Split", [x, counts], 2, { axis }) as [Value, Value];
      const [onShared, onOwn] = parted(weights, -1);
      const [ofShared, ofOwn] = parted(stretches, 0);
      const values = withStretches(valuesOf(vo), ofOwn);
      const overOwn = unflatten(g.op("MatMul", [rowsOver(onOwn, ownCount), values]));
      sums = g.op("Add", [overShared(onShared, ofShared), overOwn]);
    }
  }
  const sizes = g.ints([headDim, STRETCHES]);
  const parts = g.ops("Split", [sums, sizes], 2, { axis: -1 }) as [Value, Value];
  const total = g.op("ReduceSum", [parts[1], g.ints([-1])], { keepdims: 1 });
  const context = g.op("Div", [parts[0], total]);
  const rowMajor = reshape(g, transpose(g, context, [1, 3, 0, 2, 4]), [0, 0, heads * headDim]);
  g.output("context", rowMajor, ["B", "n", heads * headDim]);

  if (variant.weights) {
    const exact = g.op("Div", [weights, total]);
    g.output("weights", mergeHeads(g, exact, heads), ["B", heads, "n", "t"]);
  }
  if (variant.mass) {
    const onKeys = g.op("MatMul", [weights, g.input("key_groups", ["t", "K"])]);
    const exact = g.op("Div", [onKeys, total]);
    const mass = g.op("MatMul", [g.input("query_groups", ["Q", "n"]), exact]);
    g.output("mass", mergeHeads(g, mass, heads), ["B", heads, "Q", "K"]);
  }
  return g.encode();
}

/** Which of `STRETCHES` parts each of t keys is in, as ones: [t, STRETCHES]. */
function stretchMembership(g: Graph, t: Value): Value {
  const scalar = (value: Value) => g.op("Squeeze", [value]);
  const keys = g.op("Range", [scalar(g.ints([0])), scalar(t), scalar(g.ints([1]))]);
  const sides = g.ints([STRETCH_SIDES]);
  const length = g.op("Div", [g.op("Mul", [keys, sides]), t]);
  const part = g.op("Add", [g.op("Mul", [length, sides]), g.op("Mod", [keys, sides])]);
  return g.op("OneHot", [part, g.ints([STRETCHES]), g.floats(Float32Array.of(0, 1), [2])]);
}

/** [kv_heads, B, G, rows, columns] to [B, heads, rows, columns]. */
function mergeHeads(g: Graph, x: Value, heads: number): Value {
  const byBranch = transpose(g, x, [1, 0, 2, 3, 4]);
  const branch = g.op("Shape", [byBranch], { start: 0, end: 1 });
  const matrix = g.op("Shape", [byBranch], { start: 3, end: 5 });
  const shape = g.op("Concat", [branch, g.ints([heads]), matrix], { axis: 0 });
  return g.op("Reshape", [byBranch, shape]);
}
