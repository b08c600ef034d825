import { ModelError } from "../../common/errors.ts";

export const WEIGHTS_INDEX = "model.safetensors.index.json";
export const SINGLE_WEIGHTS = "model.safetensors";

/** Files that only quantizing tools write. */
const QUANTIZER_FILES = ["quantize_config.json", "quant_config.json"] as const;

/** What a quantized checkpoint is told, whatever shows that it is one. */
export const QUANTIZED_ADVICE =
  "quantized weights are not supported; use the unquantized checkpoint it was made from (bf16, f16 or f32)";

/**
 * Looks at the names in a model folder, on the disk or on the hub, before anything in it is read.
 *
 * @param place the folder or repository, for messages.
 * @param base the model that it was made from, where that is known.
 * @throws ModelError when there are no safetensors weights that can be used: says what is there
 *   instead, and what would work.
 */
export function refuseOtherLayouts(place: string, names: readonly string[], base?: string): void {
  const from = base === undefined ? "" : ` (${base})`;
  const quantizer = QUANTIZER_FILES.find((name) => names.includes(name));
  if (quantizer !== undefined) {
    throw new ModelError(
      `${place}: is quantized (it has ${quantizer})${from}; ${QUANTIZED_ADVICE}`,
    );
  }
  if (names.includes(WEIGHTS_INDEX) || names.includes(SINGLE_WEIGHTS)) return;
  throw new ModelError(`${place}: ${whatIsThereInstead(names, from)}`);
}

function whatIsThereInstead(names: readonly string[], from: string): string {
  const first = (pattern: RegExp) => names.find((name) => pattern.test(name));
  if (names.includes("adapter_config.json")) {
    return (
      "holds only an adapter (adapter_config.json), which changes another model; merge it into its " +
      `base model${from} (PEFT's merge_and_unload), save that as safetensors, and use the result`
    );
  }
  const gguf = first(/\.gguf$/i);
  if (gguf !== undefined) {
    return `holds llama.cpp's weights (${gguf}); use the safetensors checkpoint they were made from${from}`;
  }
  const pickled = first(/\.(bin|pt|pth|ckpt|pkl)$/i);
  if (pickled !== undefined) {
    return (
      `its weights are pickled (${pickled}), and loading such a file can run code, so none is loaded; ` +
      "use a revision or copy with *.safetensors, or save it again with transformers' save_pretrained"
    );
  }
  const foreign = first(/\.(onnx|h5|msgpack|mlmodel|pte)$/i);
  if (foreign !== undefined) {
    return `holds weights for another program (${foreign}); use the safetensors checkpoint${from}`;
  }
  const other = first(/\.safetensors$/i);
  const there = other === undefined ? "" : `; ${other} alone is not a transformers checkpoint`;
  return `has neither ${SINGLE_WEIGHTS} nor ${WEIGHTS_INDEX}${there}`;
}

/** Names of tensors that hold packed integers instead of numbers to compute with. */
const PACKED = /\.(qweight|qzeros|weight_packed|weight_scale|weight_scale_inv|SCB|absmax)$/;

/** @throws ModelError when a tensor's name tells that the weights are quantized. */
export function refusePackedTensors(place: string, tensors: Iterable<string>): void {
  for (const name of tensors) {
    if (PACKED.test(name)) {
      throw new ModelError(
        `${place}: tensor "${name}" holds quantized weights; ${QUANTIZED_ADVICE}`,
      );
    }
  }
}

/** Names of the matrices that PEFT and its like add beside a model's own: LoRA, DoRA, IA3 and others. */
const ADAPTED =
  /(^|[._])(lora_(A|B|E|embedding_A|embedding_B|magnitude_vector)|ia3_l|hada_w[12]_[ab]|lokr_w[12])([._]|$)/;

/** @throws ModelError when tensors of an adapter lie among the weights, which alone are not the model. */
export function refuseAdapterTensors(place: string, tensors: Iterable<string>): void {
  const names = [...tensors].filter((name) => ADAPTED.test(name));
  if (names.length === 0) return;
  throw new ModelError(
    `${place}: ${names.length} of its tensors are an adapter's ("${names[0]}"): without them merged in, ` +
      "its answers would be those of the model before it was trained; merge them (PEFT's " +
      "merge_and_unload), save that as safetensors, and use the result",
  );
}
