import type { LocatedTensor } from "../checkpoint/weights.ts";
import type { Activation, LayerNormWeights, LinearWeights } from "../families/shared/spec.ts";
import { float, type Graph, type Value } from "./onnx.ts";

/** x [rows, in] times the stored weight [out, in], plus its bias: [rows, out]. */
export function linear(g: Graph, x: Value, { weight, rows, bias }: LinearWeights): Value {
  const { precision } = g;
  const narrow = precision === "float32" ? x : g.cast(x, precision);
  const inputs = [narrow, g.weight(weight, rows, precision)];
  if (bias !== undefined) inputs.push(g.weight(bias, rows, precision));
  const product = g.op("Gemm", inputs, { transB: 1 });
  return precision === "float32" ? product : g.cast(product, "float32");
}

/** x / sqrt(mean(x²) + eps) · scale over the last axis, in fp32. */
export function rmsNorm(g: Graph, x: Value, scale: LocatedTensor, eps: number): Value {
  return g.op("SimplifiedLayerNormalization", [x, g.weight(scale)], {
    axis: -1,
    epsilon: float(eps),
    stash_type: 1,
  });
}

/** The usual layer normalisation over the last axis. */
export function layerNorm(g: Graph, x: Value, norm: LayerNormWeights, eps: number): Value {
  return g.op("LayerNormalization", [x, g.weight(norm.weight), g.weight(norm.bias)], {
    axis: -1,
    epsilon: float(eps),
  });
}

/** An activation, element by element. */
export function activate(g: Graph, x: Value, kind: Activation): Value {
  switch (kind) {
    case "relu":
      return g.op("Relu", [x]);
    case "gelu":
      return g.op("Gelu", [x]);
    case "gelu_tanh":
      return g.op("Gelu", [x], { approximate: "tanh" });
    case "silu":
      return g.op("Mul", [x, g.op("Sigmoid", [x])]);
    case "quick_gelu": {
      const scaled = g.op("Mul", [x, g.floats(Float32Array.of(1.702), [])]);
      return g.op("Mul", [x, g.op("Sigmoid", [scaled])]);
    }
  }
}

/**
 * Rotary positions: x [rows, heads, dim], cos and sin [rows, 1, dim] with both halves alike;
 * x · cos + (-x2, x1) · sin for the halves x1, x2 of each head.
 */
export function rotate(g: Graph, x: Value, cos: Value, sin: Value): Value {
  const [first, second] = g.ops("Split", [x], 2, { axis: -1, num_outputs: 2 }) as [Value, Value];
  const turned = g.op("Concat", [g.op("Neg", [second]), first], { axis: -1 });
  return g.op("Add", [g.op("Mul", [x, cos]), g.op("Mul", [turned, sin])]);
}

/** Reshapes; -1 is inferred, 0 keeps the extent at that place. */
export function reshape(g: Graph, x: Value, shape: readonly number[]): Value {
  return g.op("Reshape", [x, g.ints(shape)]);
}

/** Reorders axes. */
export function transpose(g: Graph, x: Value, perm: readonly number[]): Value {
  return g.op("Transpose", [x], { perm });
}
