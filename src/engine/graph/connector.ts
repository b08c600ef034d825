import { type ProjectorSpec, patchSide, type SquareModelSpec } from "../families/shared/spec.ts";
import { activate, layerNorm, linear, reshape, transpose } from "./blocks.ts";
import { Graph, type Products, type Value, WHOLE } from "./onnx.ts";

/** LayerNorm's own epsilon, where a model's class gives none. */
const NORM_EPS = 1e-5;

/**
 * The tower's features to video tokens of the decoder's width, frame by frame; what averages over
 * time comes after it.
 *
 * Input: x [T, tokens, hidden]. Outputs: y [T, kept tokens, d], rows before columns, the class token
 * dropped where the model drops it; for a model that ends a video with a token of its own, newline
 * [d].
 */
export function connectorGraph(spec: SquareModelSpec, products: Products = WHOLE): Uint8Array {
  const { vision, connector } = spec;
  const width = spec.decoder.hiddenSize;
  const side = patchSide(vision);
  const g = new Graph(spec.root, products);
  const x = g.input("x", ["T", "tokens", vision.hiddenSize]);
  const normed =
    vision.postNorm === undefined ? x : layerNorm(g, x, vision.postNorm, vision.normEps);
  const first = vision.classEmbedding === undefined || vision.keepsClassToken ? 0 : 1;
  const features =
    first === 0
      ? normed
      : g.op("Slice", [normed, g.ints([first]), g.ints([Number.MAX_SAFE_INTEGER]), g.ints([1])]);
  const frames = g.op("Shape", [x], { start: 0, end: 1 });
  /** Rows [T · n, d] as [T, n, d]. */
  const perFrame = (rows: Value) =>
    g.op("Reshape", [rows, g.op("Concat", [frames, g.ints([-1, width])], { axis: 0 })]);

  let y: Value;
  switch (connector.kind) {
    case "mlp-pool":
      y = perFrame(project(g, reshape(g, features, [-1, vision.hiddenSize]), connector.projector));
      break;
    case "pool-mlp": {
      const { stride } = connector;
      const pooled = g.op(
        connector.mode === "average" ? "AveragePool" : "MaxPool",
        [asPictures(g, features, side, vision.hiddenSize)],
        { kernel_shape: [stride, stride], strides: [stride, stride] },
      );
      const rows = reshape(g, transpose(g, pooled, [0, 2, 3, 1]), [-1, vision.hiddenSize]);
      y = perFrame(project(g, rows, connector.projector));
      break;
    }
    case "mlp-resize": {
      const rows = project(g, reshape(g, features, [-1, vision.hiddenSize]), connector.projector);
      const pictures = asPictures(g, perFrame(rows), side, width);
      const half = Math.ceil(side / 2);
      const sizes = g.op("Concat", [frames, g.ints([width, half, half])], { axis: 0 });
      const resized = g.op("Resize", [pictures, "", "", sizes], {
        mode: "linear",
        coordinate_transformation_mode: "half_pixel",
      });
      y = perFrame(reshape(g, transpose(g, resized, [0, 2, 3, 1]), [-1, width]));
      g.output("newline", g.weight(connector.newline), [width]);
      break;
    }
    case "shuffle-mlp": {
      const { factor, columnMajor } = connector;
      const shuffled = shuffle(g, features, side, vision.hiddenSize, factor, columnMajor);
      const rows = layerNorm(g, shuffled, connector.norm, NORM_EPS);
      y = perFrame(project(g, rows, connector.projector));
      break;
    }
    case "shuffle-linear": {
      const shuffled = shuffle(g, features, side, vision.hiddenSize, connector.factor);
      y = perFrame(linear(g, shuffled, connector.linear));
      break;
    }
  }
  g.output("y", y, ["T", "kept", width]);
  return g.encode();
}

/** Rows through the projector's two layers. */
function project(g: Graph, rows: Value, projector: ProjectorSpec): Value {
  const inner = activate(g, linear(g, rows, projector.first), projector.activation);
  return linear(g, inner, projector.second);
}

/** [T, side · side, width] as [T, width, side, side]. */
function asPictures(g: Graph, x: Value, side: number, width: number): Value {
  return reshape(g, transpose(g, x, [0, 2, 1]), [0, width, side, side]);
}

/**
 * Pixel shuffle: each factor x factor square of patches as one row, its patches row by row:
 * [T, side · side, width] to [T · (side / factor)², factor² · width]. Squares row after row, as
 * InternVL's `ps_version` v2 has them, or column after column (v1).
 */
function shuffle(
  g: Graph,
  x: Value,
  side: number,
  width: number,
  factor: number,
  columnMajor = false,
): Value {
  const part = side / factor;
  const squares = reshape(g, x, [-1, part, factor, part, factor * width]);
  const order = columnMajor ? [0, 3, 1, 2, 4] : [0, 1, 3, 2, 4];
  return reshape(g, transpose(g, squares, order), [-1, factor * factor * width]);
}
