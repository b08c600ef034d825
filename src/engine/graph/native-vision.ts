import type {
  LinearWeights,
  NativeLayerWeights,
  NativeModelSpec,
} from "../families/shared/spec.ts";
import { activate, gated, linear, norm, reshape, rotate, transpose } from "./blocks.ts";
import { Graph, type Products, type Value, WHOLE } from "./onnx.ts";

/**
 * Pixels to the first hidden state of a tower for pictures of any size.
 *
 * Inputs: pixels [P, 3 · frames, H, W], normalised, the P groups of frames that patches cover, each
 * colour's frames together; order [n], the patch (row by row) that stands at each place.
 * Output: x [P, n, hidden].
 */
export function nativePatchGraph(spec: NativeModelSpec): Uint8Array {
  const { patchSize, patchFrames, hiddenSize, patchEmbedding } = spec.vision;
  const g = new Graph(spec.root);
  const pixels = g.input("pixels", ["P", 3 * patchFrames, "H", "W"]);
  const order = g.input("order", ["n"], "int64");
  const { weight, bias } = patchEmbedding;
  const kernel = reshape(g, g.weight(weight), [hiddenSize, -1, patchSize, patchSize]);
  const inputs = [pixels, kernel, ...(bias === undefined ? [] : [g.weight(bias)])];
  const patches = g.op("Conv", inputs, {
    kernel_shape: [patchSize, patchSize],
    strides: [patchSize, patchSize],
  });
  const rowMajor = transpose(g, reshape(g, patches, [0, hiddenSize, -1]), [0, 2, 1]);
  g.output("x", g.op("Gather", [rowMajor, order], { axis: 1 }), ["P", "n", hiddenSize]);
  return g.encode();
}

/**
 * One layer of a tower for pictures of any size; groups of frames do not see each other.
 *
 * Inputs: x [P, n, hidden]; cos, sin [n, 1, head_dim] of each patch's row and column. A windowed layer
 * besides: gather [windows · size], the patch at each place of the windows; scatter [n], each patch's
 * place among them; bias [P · windows, 1, 1, size], lowest where a place is empty.
 * Output: y [P, n, hidden].
 */
export function nativeLayerGraph(
  spec: NativeModelSpec,
  layer: NativeLayerWeights,
  products: Products = WHOLE,
): Uint8Array {
  const { vision } = spec;
  const { hiddenSize, heads } = vision;
  const headDim = hiddenSize / heads;
  const g = new Graph(spec.root, products);
  const x = g.input("x", ["P", "n", hiddenSize]);
  const cos = g.input("cos", ["n", 1, headDim]);
  const sin = g.input("sin", ["n", 1, headDim]);
  const dims = g.op("Shape", [x]);
  const flat = (value: Value) => reshape(g, value, [-1, hiddenSize]);
  const unflatten = (value: Value) => g.op("Reshape", [value, dims]);
  const normed = flat(norm(g, x, layer.norm1, vision.normEps));
  /** [P, n, heads, head_dim] */
  const split = (weights: LinearWeights) =>
    reshape(g, unflatten(linear(g, normed, weights)), [0, 0, heads, headDim]);
  const query = rotate(g, split(layer.query), cos, sin);
  const key = rotate(g, split(layer.key), cos, sin);
  const value = split(layer.value);
  const { windowSide } = vision;
  const context =
    layer.windowed && windowSide !== undefined
      ? windowAttention(g, query, key, value, spec)
      : wholeAttention(g, query, key, value, spec);
  const attended = g.op("Add", [x, unflatten(linear(g, flat(context), layer.out))]);
  const inner = flat(norm(g, attended, layer.norm2, vision.normEps));
  const activated =
    layer.gate === undefined
      ? activate(g, linear(g, inner, layer.up), vision.activation)
      : gated(g, inner, layer.gate, layer.up, vision.activation);
  const y = g.op("Add", [attended, unflatten(linear(g, activated, layer.down))]);
  g.output("y", y, ["P", "n", hiddenSize]);
  return g.encode();
}

/** Over all patches of a picture. The fused operator goes by tiles: n x n scores are never held. */
function wholeAttention(
  g: Graph,
  query: Value,
  key: Value,
  value: Value,
  { vision: { heads, hiddenSize } }: NativeModelSpec,
): Value {
  const joined = (x: Value) => reshape(g, x, [0, 0, hiddenSize]);
  const inputs = [query, key, value].map(joined);
  return g.op("MultiHeadAttention", inputs, { num_heads: heads }, "com.microsoft");
}

/** Within each window: [P, n, heads, head_dim] three times to context [P, n, hidden]. */
function windowAttention(
  g: Graph,
  query: Value,
  key: Value,
  value: Value,
  { vision }: NativeModelSpec,
): Value {
  const { heads, hiddenSize } = vision;
  const headDim = hiddenSize / heads;
  const gather = g.input("gather", ["places"], "int64");
  const scatter = g.input("scatter", ["n"], "int64");
  const bias = g.input("bias", ["windows", 1, 1, "size"]);
  const size = g.op("Shape", [bias], { start: 3, end: 4 });
  const perWindow = g.op("Concat", [g.ints([-1]), size, g.ints([heads, headDim])], { axis: 0 });
  /** [P · windows, heads, ·, ·] */
  const windows = (x: Value, perm: readonly number[]) => {
    const places = g.op("Gather", [x, gather], { axis: 1 });
    return transpose(g, g.op("Reshape", [places, perWindow]), perm);
  };
  const scale = g.floats(Float32Array.of(1 / Math.sqrt(headDim)), []);
  const scaled = windows(g.op("Mul", [query, scale]), [0, 2, 1, 3]);
  const scores = g.op("MatMul", [scaled, windows(key, [0, 2, 3, 1])]);
  const weights = g.op("Softmax", [g.op("Add", [scores, bias])], { axis: -1 });
  const context = g.op("MatMul", [weights, windows(value, [0, 2, 1, 3])]);
  const pictures = g.op("Shape", [query], { start: 0, end: 1 });
  const shape = g.op("Concat", [pictures, g.ints([-1, hiddenSize])], { axis: 0 });
  const places = g.op("Reshape", [transpose(g, context, [0, 2, 1, 3]), shape]);
  return g.op("Gather", [places, scatter], { axis: 1 });
}

/**
 * Squares of patches to video tokens.
 * Input: x [P, n, hidden]. Output: y [P, tokens, d], rows before columns.
 */
export function mergerGraph(spec: NativeModelSpec, products: Products = WHOLE): Uint8Array {
  const { vision, connector } = spec;
  const { hiddenSize, merge, normEps } = vision;
  const width = spec.decoder.hiddenSize;
  const g = new Graph(spec.root, products);
  const x = g.input("x", ["P", "n", hiddenSize]);
  const normed = norm(g, x, connector.norm, normEps);
  const squares =
    connector.kind === "merge-mlp"
      ? reshape(g, normed, [-1, merge * merge * hiddenSize])
      : g.op("ReduceMean", [reshape(g, normed, [-1, merge * merge, hiddenSize]), g.ints([1])], {
          keepdims: 0,
        });
  const { first, activation, second } = connector.projector;
  const rows = linear(g, activate(g, linear(g, squares, first), activation), second);
  const pictures = g.op("Shape", [x], { start: 0, end: 1 });
  const shape = g.op("Concat", [pictures, g.ints([-1, width])], { axis: 0 });
  g.output("y", g.op("Reshape", [rows, shape]), ["P", "tokens", width]);
  return g.encode();
}
