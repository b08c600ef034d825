import type { DecoderLayerWeights, DecoderSpec, ModelSpec } from "../families/shared/spec.ts";
import { gated, linear, reshape, rmsNorm, rotate, rowSums } from "./blocks.ts";
import { Graph, type Products, type Value, WHOLE } from "./onnx.ts";

/**
 * Residual rows to queries, keys and values of one layer. Rows are independent of one another, so
 * rows of the clean run and of any branch go through together.
 *
 * Inputs: x [n, d]; cos, sin [n, 1, head_dim] of each row's position.
 * Outputs: q [n, heads · head_dim], rotated and scaled by 1/sqrt(head_dim); k (rotated) and v
 * [n, kv_heads · head_dim].
 */
export function projectionGraph(
  root: string,
  spec: DecoderSpec,
  layer: DecoderLayerWeights,
  products: Products,
): Uint8Array {
  const g = new Graph(root, products);
  const x = g.input("x", ["n", spec.hiddenSize]);
  const cos = g.input("cos", ["n", 1, spec.headDim]);
  const sin = g.input("sin", ["n", 1, spec.headDim]);
  const normed = rmsNorm(g, x, layer.inputNorm, spec.normEps);
  const heads = (
    weights: DecoderLayerWeights["query"],
    count: number,
    norm: DecoderLayerWeights["queryNorm"],
  ) => {
    const split = reshape(g, linear(g, normed, weights), [-1, count, spec.headDim]);
    return norm === undefined ? split : rmsNorm(g, split, norm, spec.normEps);
  };
  const query = rotate(g, heads(layer.query, spec.heads, layer.queryNorm), cos, sin);
  const scale = g.floats(Float32Array.of(1 / Math.sqrt(spec.headDim)), []);
  const key = rotate(g, heads(layer.key, spec.kvHeads, layer.keyNorm), cos, sin);
  const queryWidth = spec.heads * spec.headDim;
  const keyWidth = spec.kvHeads * spec.headDim;
  g.output("q", reshape(g, g.op("Mul", [query, scale]), [-1, queryWidth]), ["n", queryWidth]);
  g.output("k", reshape(g, key, [-1, keyWidth]), ["n", keyWidth]);
  g.output("v", linear(g, normed, layer.value), ["n", keyWidth]);
  return g.encode();
}

/**
 * The rest of a layer: attention output and gated MLP, each added to the residual stream.
 *
 * Inputs: x [n, d], the layer's input rows; context [n, heads · head_dim], their attention output.
 * Output: y [n, d], the residual stream after the layer.
 */
export function residualGraph(
  root: string,
  spec: DecoderSpec,
  layer: DecoderLayerWeights,
  products: Products,
): Uint8Array {
  const g = new Graph(root, products);
  const x = g.input("x", ["n", spec.hiddenSize]);
  const context = g.input("context", ["n", spec.heads * spec.headDim]);
  const attended = g.op("Add", [x, linear(g, context, layer.out)]);
  const normed = rmsNorm(g, attended, layer.postNorm, spec.normEps);
  const inner = gated(g, normed, layer.gate, layer.up, spec.activation);
  g.output("y", g.op("Add", [attended, linear(g, inner, layer.down)]), ["n", spec.hiddenSize]);
  return g.encode();
}

/** Input ids [n] to embeddings [n, d]. */
export function embeddingGraph(spec: ModelSpec): Uint8Array {
  const g = new Graph(spec.root);
  const ids = g.input("ids", ["n"], "int64");
  // Rows are gathered as stored and cast after: the whole matrix is never widened.
  const rows = g.gatherRows(spec.decoder.embedding, ids);
  g.output("x", rows, ["n", spec.decoder.hiddenSize]);
  return g.encode();
}

/** Which matrix turns a residual row into logits. */
export type Unembedding = "head" | "embedding";

/**
 * The logit lens: residual rows to probabilities over the vocabulary, of which only what is asked
 * for leaves the graph.
 *
 * Inputs: x [n, d]; normed [n, 1], 1 where the final norm is applied first, 0 where not; k [1];
 * ids [m].
 * Outputs: top_ids, top [n, k], the k likeliest tokens with probabilities; chosen [n, m],
 * probabilities of the given token ids; sum [n, 1] of the logits, not finite where one of them is
 * not. Softmax over the whole vocabulary, in fp32, with relative errors below 1e-6: the runtime's own
 * ReduceLogSumExp loses the tail (6e-4 of the whole at 151,936 tokens).
 */
export function unembedGraph(
  spec: ModelSpec,
  unembedding: Unembedding,
  { blockBytes }: Products = WHOLE,
): Uint8Array {
  const { decoder } = spec;
  const g = new Graph(spec.root, { precision: "float32", blockBytes });
  const x = g.input("x", ["n", decoder.hiddenSize]);
  const normed = g.input("normed", ["n", 1]);
  const k = g.input("k", [1], "int64");
  const ids = g.input("ids", ["m"], "int64");
  const one = g.floats(Float32Array.of(1), []);
  const rows = g.op("Add", [
    g.op("Mul", [rmsNorm(g, x, decoder.finalNorm, decoder.normEps), normed]),
    g.op("Mul", [x, g.op("Sub", [one, normed])]),
  ]);
  const matrix = unembedding === "head" ? decoder.head : decoder.embedding;
  const logits = linear(g, rows, { weight: matrix });
  const [top, topIds] = g.ops("TopK", [logits, k], 2, { axis: 1 }) as [Value, Value];
  const highest = g.op("ReduceMax", [logits, g.ints([1])], { keepdims: 1 });
  const shares = (some: Value) => g.op("Exp", [g.op("Sub", [some, highest])]);
  const total = rowSums(g, shares(logits), decoder.vocabSize);
  const probability = (some: Value) => g.op("Div", [shares(some), total]);
  g.output("top", probability(top), ["n", "k"]);
  g.output("top_ids", topIds, ["n", "k"], "int64");
  g.output("chosen", probability(g.op("Gather", [logits, ids], { axis: 1 })), ["n", "m"]);
  g.output("sum", g.op("ReduceSum", [logits, g.ints([1])], { keepdims: 1 }), ["n", 1]);
  return g.encode();
}
