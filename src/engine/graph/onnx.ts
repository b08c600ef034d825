import onnxProto from "onnx-proto";
import { ModelError } from "../../common/errors.ts";
import { isWeightDtype } from "../checkpoint/safetensors.ts";
import type { LocatedTensor, WeightRows } from "../checkpoint/weights.ts";

const { onnx } = onnxProto;

/** ONNX operator set of every graph here, and the file format version that goes with it. */
const OPSET = 21;
const IR_VERSION = 10;

const ELEMENT = { float32: 1, int64: 7, float16: 10, bfloat16: 16 } as const;
const STORED_AS = { F32: ELEMENT.float32, F16: ELEMENT.float16, BF16: ELEMENT.bfloat16 } as const;
/** How safetensors call what is computed in. */
const NAMED = { float32: "F32", float16: "F16" } as const;
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;
const EXTERNAL = 1;

/** A named value inside one graph. */
export type Value = string & { readonly value: unique symbol };

/** An extent that is known, or the name of one that varies from run to run. */
export type Extent = number | string;

/** Attributes by ONNX name; a JavaScript number is written as INT unless wrapped by `float`. */
export type Attributes = Readonly<
  Record<string, number | string | readonly number[] | { readonly float: number }>
>;

/** What the products with weights are computed in; all else (norms, softmax, residuals) is float32. */
export type Precision = "float32" | "float16";

/** How a graph computes its products with weights. */
export interface Products {
  readonly precision: Precision;
  /**
   * Weights that are stored in another type are widened so many bytes at a time (float32, whole rows),
   * each block multiplied while it is in the processor's caches; absent: each matrix at once.
   */
  readonly blockBytes?: number | undefined;
}

/** Products in float32, each matrix at once. */
export const WHOLE: Products = { precision: "float32" };

/** Rows of a block are a multiple of this, which suits the kernels. */
const BLOCK_STEP = 16;

/**
 * Builds one ONNX graph in memory. Weights are never copied: their initializers point into the
 * safetensors files by offset and length, and those stored in another type pass through a `Cast`.
 */
export class Graph {
  readonly #nodes: onnxProto.onnx.INodeProto[] = [];
  readonly #initializers: onnxProto.onnx.ITensorProto[] = [];
  readonly #inputs: onnxProto.onnx.IValueInfoProto[] = [];
  readonly #outputs: onnxProto.onnx.IValueInfoProto[] = [];
  readonly #weights = new Map<string, Value>();
  readonly #root: string;
  readonly #products: Products;
  #names = 0;

  /**
   * @param root the folder that external data paths are relative to.
   * @param products how those with weights are computed.
   */
  constructor(root: string, products: Products = WHOLE) {
    this.#root = root;
    this.#products = products;
  }

  /** What products with weights are computed in. */
  get precision(): Precision {
    return this.#products.precision;
  }

  /** Declares an input of the graph. */
  input(name: string, shape: readonly Extent[], element: "float32" | "int64" = "float32"): Value {
    this.#inputs.push(valueInfo(name, ELEMENT[element], shape));
    return name as Value;
  }

  /** Makes a value an output of the graph under a name of its own. */
  output(
    name: string,
    value: Value,
    shape: readonly Extent[],
    element: "float32" | "int64" = "float32",
  ): void {
    this.#nodes.push({ opType: "Identity", input: [value], output: [name], name });
    this.#outputs.push(valueInfo(name, ELEMENT[element], shape));
  }

  /** A stored tensor (or whole rows of it), shaped as stored. */
  weight(tensor: LocatedTensor, rows?: WeightRows, as: Precision = "float32"): Value {
    const part = rows === undefined ? "" : `[${rows.start}+${rows.count}]`;
    const key = `${tensor.name}${part} ${as}`;
    const known = this.#weights.get(key);
    if (known !== undefined) return known;
    const stored = this.#stored(tensor, rows);
    const value = NAMED[as] === tensor.dtype ? stored : this.cast(stored, as);
    this.#weights.set(key, value);
    return value;
  }

  /** The parts of a stored matrix (or of whole rows of it) that are widened one after another. */
  blocks(tensor: LocatedTensor, rows?: WeightRows): readonly (WeightRows | undefined)[] {
    const { precision, blockBytes } = this.#products;
    if (blockBytes === undefined || NAMED[precision] === tensor.dtype) return [rows];
    const { start, count } = rows ?? { start: 0, count: tensor.shape[0] ?? 1 };
    const rowBytes = 4 * tensor.shape.slice(1).reduce((product, extent) => product * extent, 1);
    const parts = Math.ceil((count * rowBytes) / blockBytes);
    if (parts <= 1) return [rows];
    const most = BLOCK_STEP * Math.ceil(count / parts / BLOCK_STEP);
    return Array.from({ length: Math.ceil(count / most) }, (_, i) => ({
      start: start + i * most,
      count: Math.min(most, count - i * most),
    }));
  }

  /** Rows of a stored matrix by index, as float32: gathered as stored, so only they are widened. */
  gatherRows(tensor: LocatedTensor, indices: Value): Value {
    const rows = this.op("Gather", [this.#stored(tensor), indices], { axis: 0 });
    return tensor.dtype === "F32" ? rows : this.cast(rows, "float32");
  }

  /** A value of another type, rounded to this one. */
  cast(value: Value, to: Precision): Value {
    return this.op("Cast", [value], { to: ELEMENT[to] });
  }

  #stored(tensor: LocatedTensor, rows?: WeightRows): Value {
    if (!isWeightDtype(tensor.dtype)) {
      throw new ModelError(
        `${tensor.file}: tensor "${tensor.name}" is ${tensor.dtype}; F32, F16 and BF16 can be computed with`,
      );
    }
    const allRows = tensor.shape[0] ?? 1;
    const rowBytes = tensor.length / allRows;
    const { start, count } = rows ?? { start: 0, count: allRows };
    const name = this.#fresh("w");
    this.#initializers.push({
      name,
      dims: rows === undefined ? [...tensor.shape] : [count, ...tensor.shape.slice(1)],
      dataType: STORED_AS[tensor.dtype],
      dataLocation: EXTERNAL,
      externalData: [
        { key: "location", value: relativeTo(this.#root, tensor.file) },
        { key: "offset", value: String(tensor.offset + start * rowBytes) },
        { key: "length", value: String(count * rowBytes) },
      ],
    });
    return name as Value;
  }

  /** A float32 constant kept inside the graph. */
  floats(data: Float32Array, shape: readonly number[]): Value {
    return this.#constant(ELEMENT.float32, shape, new Uint8Array(data.slice().buffer));
  }

  /** An int64 vector kept inside the graph: shapes, axes, split sizes. */
  ints(data: readonly number[]): Value {
    const bytes = new Uint8Array(BigInt64Array.from(data.map(BigInt)).buffer);
    return this.#constant(ELEMENT.int64, [data.length], bytes);
  }

  /** One operator with one output. */
  op(
    type: string,
    inputs: readonly (Value | "")[],
    attributes: Attributes = {},
    domain = "",
  ): Value {
    const [output] = this.ops(type, inputs, 1, attributes, domain);
    return output as Value;
  }

  /** One operator with several outputs. */
  ops(
    type: string,
    inputs: readonly (Value | "")[],
    outputs: number,
    attributes: Attributes = {},
    domain = "",
  ): Value[] {
    const names = Array.from({ length: outputs }, () => this.#fresh(type));
    this.#nodes.push({
      opType: type,
      domain,
      name: names[0] ?? type,
      input: [...inputs],
      output: names,
      attribute: Object.entries(attributes).map(attribute),
    });
    return names as Value[];
  }

  /** The model as bytes, as an ONNX file would hold them. */
  encode(): Uint8Array {
    const model = onnx.ModelProto.fromObject({
      irVersion: IR_VERSION,
      producerName: "flowprobe",
      opsetImport: [
        { domain: "", version: OPSET },
        { domain: "com.microsoft", version: 1 },
      ],
      graph: {
        name: "flowprobe",
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    return onnx.ModelProto.encode(model).finish();
  }

  #constant(dataType: number, shape: readonly number[], rawData: Uint8Array): Value {
    const name = this.#fresh("c");
    this.#initializers.push({ name, dims: [...shape], dataType, rawData });
    return name as Value;
  }

  #fresh(prefix: string): string {
    this.#names += 1;
    return `${prefix}_${this.#names}`;
  }
}

/** Marks a number as an ONNX FLOAT attribute. */
export function float(value: number): { readonly float: number } {
  return { float: value };
}

function attribute([name, value]: [string, Attributes[string]]): onnxProto.onnx.IAttributeProto {
  if (typeof value === "number") return { name, type: ATTRIBUTE.int, i: value };
  if (typeof value === "string") {
    return { name, type: ATTRIBUTE.string, s: new TextEncoder().encode(value) };
  }
  if ("float" in value) return { name, type: ATTRIBUTE.float, f: value.float };
  return { name, type: ATTRIBUTE.ints, ints: [...value] };
}

function valueInfo(
  name: string,
  elemType: number,
  shape: readonly Extent[],
): onnxProto.onnx.IValueInfoProto {
  const dim = shape.map((extent) =>
    typeof extent === "number" ? { dimValue: extent } : { dimParam: extent },
  );
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

function relativeTo(root: string, file: string): string {
  const inside = file.slice(root.length).replace(/^[/\\]+/, "");
  return inside.replaceAll("\\", "/");
}
