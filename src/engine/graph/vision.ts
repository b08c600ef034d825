import type { ModelSpec, VisionLayerWeights } from "../families/spec.ts";
import { activate, layerNorm, linear, reshape, transpose } from "./blocks.ts";
import { Graph, type Value } from "./onnx.ts";

/**
 * Pixels to the vision tower's first hidden state.
 * Input: pixels [T, 3, H, W], normalised. Output: x [T, tokens, hidden], the class token first.
 */
export function patchGraph(spec: ModelSpec): Uint8Array {
  const { vision } = spec;
  const { imageSize, patchSize, hiddenSize } = vision;
  const g = new Graph(spec.root);
  const pixels = g.input("pixels", ["T", 3, imageSize, imageSize]);
  const patches = g.op("Conv", [pixels, g.weight(vision.patchEmbedding)], {
    kernel_shape: [patchSize, patchSize],
    strides: [patchSize, patchSize],
  });
  const tokens = transpose(g, reshape(g, patches, [0, hiddenSize, -1]), [0, 2, 1]);
  const frames = g.op("Shape", [pixels], { start: 0, end: 1 });
  const perFrame = g.op("Concat", [frames, g.ints([1, hiddenSize])], { axis: 0 });
  const classToken = g.op("Expand", [g.weight(vision.classEmbedding), perFrame]);
  const all = g.op("Concat", [classToken, tokens], { axis: 1 });
  const placed = g.op("Add", [all, g.weight(vision.positionEmbedding)]);
  const normed = layerNorm(g, placed, vision.preNorm, vision.normEps);
  g.output("x", normed, ["T", "tokens", hiddenSize]);
  return g.encode();
}

/** One encoder layer: x [T, tokens, hidden] to y of the same shape; frames do not see each other. */
export function visionLayerGraph(spec: ModelSpec, layer: VisionLayerWeights): Uint8Array {
  const { vision } = spec;
  const { hiddenSize, heads } = vision;
  const headDim = hiddenSize / heads;
  const g = new Graph(spec.root);
  const x = g.input("x", ["T", "tokens", hiddenSize]);
  const dims = g.op("Shape", [x]);
  const flat = (value: Value) => reshape(g, value, [-1, hiddenSize]);
  const unflatten = (value: Value) => g.op("Reshape", [value, dims]);
  const normed = flat(layerNorm(g, x, layer.norm1, vision.normEps));
  const split = (value: Value, perm: readonly number[]) =>
    transpose(g, reshape(g, unflatten(value), [0, 0, heads, headDim]), perm);
  const scale = g.floats(Float32Array.of(1 / Math.sqrt(headDim)), []);
  const query = split(g.op("Mul", [linear(g, normed, layer.query), scale]), [0, 2, 1, 3]);
  const key = split(linear(g, normed, layer.key), [0, 2, 3, 1]);
  const value = split(linear(g, normed, layer.value), [0, 2, 1, 3]);
  const weights = g.op("Softmax", [g.op("MatMul", [query, key])], { axis: -1 });
  const context = flat(transpose(g, g.op("MatMul", [weights, value]), [0, 2, 1, 3]));
  const attended = g.op("Add", [x, unflatten(linear(g, context, layer.out))]);
  const inner = flat(layerNorm(g, attended, layer.norm2, vision.normEps));
  const mlp = linear(g, activate(g, linear(g, inner, layer.up), vision.activation), layer.down);
  g.output("y", g.op("Add", [attended, unflatten(mlp)]), ["T", "tokens", hiddenSize]);
  return g.encode();
}

/**
 * The tower's features to the decoder's width.
 * Input: x [T, tokens, hidden]. Output: y [T, kept tokens, d], the class token dropped when the
 * model drops it.
 */
export function projectorGraph(spec: ModelSpec): Uint8Array {
  const { vision, projector } = spec;
  const width = spec.decoder.hiddenSize;
  const g = new Graph(spec.root);
  const x = g.input("x", ["T", "tokens", vision.hiddenSize]);
  const first = vision.keepsClassToken ? 0 : 1;
  const kept = g.op("Slice", [x, g.ints([first]), g.ints([Number.MAX_SAFE_INTEGER]), g.ints([1])]);
  const rows = reshape(g, kept, [-1, vision.hiddenSize]);
  const inner = activate(g, linear(g, rows, projector.first), projector.activation);
  const shape = g.op("Concat", [g.op("Shape", [kept], { start: 0, end: 2 }), g.ints([width])], {
    axis: 0,
  });
  const y = g.op("Reshape", [linear(g, inner, projector.second), shape]);
  g.output("y", y, ["T", "kept", width]);
  return g.encode();
}
