import type { LocatedTensor, WeightRows } from "../checkpoint/weights.ts";
import type {
  Activation,
  LayerNormWeights,
  LinearWeights,
  NormWeights,
} from "../families/shared/spec.ts";
import type { Graph, Value } from "./onnx.ts";

/** x [rows, in] times the stored weight [out, in], plus its bias: [rows, out]. */
export function linear(g: Graph, x: Value, weights: LinearWeights): Value {
  return beside(
    g,
    blocksOf(g, weights).map((rows) => product(g, x, weights, rows)),
  );
}

/** The inner rows of a gated MLP, activation(x gateᵀ) · (x upᵀ): [rows, inner]. */
export function gated(
  g: Graph,
  x: Value,
  gate: LinearWeights,
  up: LinearWeights,
  kind: Activation,
): Value {
  const gates = blocksOf(g, gate);
  const ups = blocksOf(g, up);
  if (gates.length !== ups.length) {
    return g.op("Mul", [activate(g, linear(g, x, gate), kind), linear(g, x, up)]);
  }
  const parts = gates.map((rows, i) => {
    const activated = activate(g, product(g, x, gate, rows), kind);
    return g.op("Mul", [activated, product(g, x, up, ups[i])]);
  });
  return beside(g, parts);
}

/** Columns of some parts [rows, ·] side by side. */
function beside(g: Graph, parts: readonly Value[]): Value {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : g.op("Concat", parts, { axis: 1 });
}

/** The parts of a matrix that are widened one after another. */
function blocksOf(g: Graph, { weight, rows }: LinearWeights): readonly (WeightRows | undefined)[] {
  if (rows === undefined) return g.blocks(weight);
  return rows.flatMap((stretch) => g.blocks(weight, stretch));
}

function product(
  g: Graph,
  x: Value,
  { weight, bias }: LinearWeights,
  rows: WeightRows | undefined,
): Value {
  const { precision } = g;
  const narrow = precision === "float32" ? x : g.cast(x, precision);
  const inputs = [narrow, g.weight(weight, rows, precision)];
  if (bias !== undefined) inputs.push(g.weight(bias, rows, precision));
  const found = g.op("Gemm", inputs, { transB: 1 });
  return precision === "float32" ? found : g.cast(found, "float32");
}

/** Terms that are summed one after another; longer sums are sums of such sums. */
const STRETCH = 128;
/** The shortest stretch worth a step of its own. */
const LEAST_STRETCH = 32;

/**
 * Row sums of x [rows, width]: [rows, 1], in stretches. One float32 accumulator loses whatever is
 * below 6e-8 of it: beside one large term, a long tail of small ones would vanish.
 */
export function rowSums(g: Graph, x: Value, width: number): Value {
  let terms = x;
  let count = width;
  while (count > STRETCH) {
    const stretch = stretchOf(count);
    const parts = Math.ceil(count / stretch);
    const missing = parts * stretch - count;
    const whole = missing === 0 ? terms : g.op("Pad", [terms, g.ints([0, 0, 0, missing])]);
    const stretches = reshape(g, whole, [-1, parts, stretch]);
    terms = g.op("ReduceSum", [stretches, g.ints([2])], { keepdims: 0 });
    count = parts;
  }
  return g.op("ReduceSum", [terms, g.ints([1])], { keepdims: 1 });
}

/** A stretch that divides `count` where there is one, so that nothing has to be added to it. */
function stretchOf(count: number): number {
  for (let stretch = STRETCH; stretch >= LEAST_STRETCH; stretch--) {
    if (count % stretch === 0) return stretch;
  }
  return STRETCH;
}

/** x / sqrt(mean(x²) + eps) · scale over the last axis, in fp32. */
export function rmsNorm(g: Graph, x: Value, scale: LocatedTensor, eps: number): Value {
  const width = widthOf(scale);
  const rows = reshape(g, x, [-1, width]);
  const normed = g.op("Mul", [overRms(g, rows, width, eps), g.weight(scale)]);
  return g.op("Reshape", [normed, g.op("Shape", [x])]);
}

/** The usual layer normalisation over the last axis, in fp32: the mean is taken off first. */
export function layerNorm(g: Graph, x: Value, norm: LayerNormWeights, eps: number): Value {
  const width = widthOf(norm.weight);
  const rows = reshape(g, x, [-1, width]);
  const centred = g.op("Sub", [rows, rowMeans(g, rows, width)]);
  const scaled = g.op("Mul", [overRms(g, centred, width, eps), g.weight(norm.weight)]);
  const normed = g.op("Add", [scaled, g.weight(norm.bias)]);
  return g.op("Reshape", [normed, g.op("Shape", [x])]);
}

/** The norm whose weights these are: with a bias layer normalisation, without one RMSNorm. */
export function norm(g: Graph, x: Value, { weight, bias }: NormWeights, eps: number): Value {
  return bias === undefined ? rmsNorm(g, x, weight, eps) : layerNorm(g, x, { weight, bias }, eps);
}

function widthOf({ shape }: LocatedTensor): number {
  const width = shape.at(-1);
  if (width === undefined) throw new Error("a norm has a width");
  return width;
}

/**
 * Rows over the root of their mean square. Not the runtime's own norms: beside a massive activation
 * (1500 among values of 0.2, width 4096) those err by 2.5e-6, this by 2e-7.
 */
function overRms(g: Graph, rows: Value, width: number, eps: number): Value {
  const meanSquare = rowMeans(g, g.op("Mul", [rows, rows]), width);
  const root = g.op("Sqrt", [g.op("Add", [meanSquare, g.floats(Float32Array.of(eps), [])])]);
  return g.op("Div", [rows, root]);
}

function rowMeans(g: Graph, rows: Value, width: number): Value {
  return g.op("Div", [rowSums(g, rows, width), g.floats(Float32Array.of(width), [])]);
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
