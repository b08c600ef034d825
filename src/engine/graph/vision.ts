import type {
  LinearWeights,
  SquareModelSpec,
  VisionLayerWeights,
} from "../families/shared/spec.ts";
import { activate, layerNorm, linear, norm, reshape, rmsNorm, transpose } from "./blocks.ts";
import { Graph, type Products, type Value, WHOLE } from "./onnx.ts";

/**
 * Pixels to the vision tower's first hidden state.
 * Input: pixels [T, 3, H, W], normalised. Output: x [T, tokens, hidden], the class token first where
 * there is one.
 */
export function patchGraph(spec: SquareModelSpec): Uint8Array {
  const { vision } = spec;
  const { imageSize, patchSize, hiddenSize } = vision;
  const g = new Graph(spec.root);
  const pixels = g.input("pixels", ["T", 3, imageSize, imageSize]);
  const { weight, bias } = vision.patchEmbedding;
  const inputs = [pixels, g.weight(weight), ...(bias === undefined ? [] : [g.weight(bias)])];
  const patches = g.op("Conv", inputs, {
    kernel_shape: [patchSize, patchSize],
    strides: [patchSize, patchSize],
  });
  let tokens = transpose(g, reshape(g, patches, [0, hiddenSize, -1]), [0, 2, 1]);
  if (vision.classEmbedding !== undefined) {
    const frames = g.op("Shape", [pixels], { start: 0, end: 1 });
    const perFrame = g.op("Concat", [frames, g.ints([1, hiddenSize])], { axis: 0 });
    const classToken = g.op("Expand", [g.weight(vision.classEmbedding), perFrame]);
    tokens = g.op("Concat", [classToken, tokens], { axis: 1 });
  }
  const placed = g.op("Add", [tokens, g.weight(vision.positionEmbedding)]);
  const { preNorm, normEps } = vision;
  const normed = preNorm === undefined ? placed : layerNorm(g, placed, preNorm, normEps);
  g.output("x", normed, ["T", "tokens", hiddenSize]);
  return g.encode();
}

/** One encoder layer: x [T, tokens, hidden] to y of the same shape; frames do not see each other. */
export function visionLayerGraph(
  spec: SquareModelSpec,
  layer: VisionLayerWeights,
  products: Products = WHOLE,
): Uint8Array {
  const { vision } = spec;
  const { hiddenSize, heads } = vision;
  const headDim = hiddenSize / heads;
  const g = new Graph(spec.root, products);
  const x = g.input("x", ["T", "tokens", hiddenSize]);
  const dims = g.op("Shape", [x]);
  const flat = (value: Value) => reshape(g, value, [-1, hiddenSize]);
  const unflatten = (value: Value) => g.op("Reshape", [value, dims]);
  const normed = flat(norm(g, x, layer.norm1, vision.normEps));
  const split = (value: Value, perm: readonly number[]) =>
    transpose(g, reshape(g, unflatten(value), [0, 0, heads, headDim]), perm);
  const scale = g.floats(Float32Array.of(1 / Math.sqrt(headDim)), []);
  const rows = (weights: LinearWeights, scaling: VisionLayerWeights["queryNorm"]) => {
    const product = linear(g, normed, weights);
    return scaling === undefined ? product : rmsNorm(g, product, scaling, vision.normEps);
  };
  const scaledQuery = g.op("Mul", [rows(layer.query, layer.queryNorm), scale]);
  const query = split(scaledQuery, [0, 2, 1, 3]);
  const key = split(rows(layer.key, layer.keyNorm), [0, 2, 3, 1]);
  const value = split(linear(g, normed, layer.value), [0, 2, 1, 3]);
  const weights = g.op("Softmax", [g.op("MatMul", [query, key])], { axis: -1 });
  const context = flat(transpose(g, g.op("MatMul", [weights, value]), [0, 2, 1, 3]));
  const scaled = (value: Value, factor: VisionLayerWeights["scale1"]) =>
    factor === undefined ? value : g.op("Mul", [value, g.weight(factor)]);
  const attention = scaled(linear(g, context, layer.out), layer.scale1);
  const attended = g.op("Add", [x, unflatten(attention)]);
  const inner = flat(norm(g, attended, layer.norm2, vision.normEps));
  const mlp = linear(g, activate(g, linear(g, inner, layer.up), vision.activation), layer.down);
  const y = g.op("Add", [attended, unflatten(scaled(mlp, layer.scale2))]);
  g.output("y", y, ["T", "tokens", hiddenSize]);
  return g.encode();
}
