import { ModelError } from "../../../common/errors.ts";
import { isWeightDtype } from "../../checkpoint/safetensors.ts";
import type { LocatedTensor, Weights } from "../../checkpoint/weights.ts";
import type { LayerNormWeights, LinearWeights } from "./spec.ts";

/**
 * Finds a checkpoint's tensors under the names of several library versions and checks their shapes.
 * Every message names the folder, the tensor and the shapes that do not fit.
 */
export class TensorLookup {
  readonly #folder: string;
  readonly #tensors: ReadonlyMap<string, LocatedTensor>;

  constructor(folder: string, weights: Weights) {
    this.#folder = folder;
    this.#tensors = weights.tensors;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** The first of several prefixes under which `probe` exists. */
  prefix(candidates: readonly string[], probe: string): string {
    const found = candidates.find((prefix) => this.#tensors.has(prefix + probe));
    if (found === undefined) {
      const tried = candidates.map((prefix) => `"${prefix}${probe}"`).join(", ");
      throw new ModelError(`${this.#folder}: tensor ${probe} is missing (looked for ${tried})`);
    }
    return found;
  }

  /** A tensor of exactly this shape. */
  tensor(name: string, shape: readonly number[]): LocatedTensor {
    const found = this.#tensors.get(name);
    if (found === undefined) throw new ModelError(`${this.#folder}: tensor "${name}" is missing`);
    if (found.shape.length !== shape.length || found.shape.some((n, i) => n !== shape[i])) {
      throw new ModelError(
        `${found.file}: tensor "${name}" has shape [${found.shape.join(", ")}], ` +
          `but config.json asks for [${shape.join(", ")}]`,
      );
    }
    if (!isWeightDtype(found.dtype)) {
      throw new ModelError(
        `${found.file}: tensor "${name}" is ${found.dtype}; F32, F16 and BF16 weights are supported ` +
          "(a quantized checkpoint has to be saved unquantized)",
      );
    }
    return found;
  }

  /** `name.weight` [out, in] and, when the checkpoint has it, `name.bias` [out]. */
  linear(name: string, out: number, input: number): LinearWeights {
    const weight = this.tensor(`${name}.weight`, [out, input]);
    const bias = this.has(`${name}.bias`) ? this.tensor(`${name}.bias`, [out]) : undefined;
    return { weight, bias };
  }

  /** `name.weight` and `name.bias`, each [width]. */
  layerNorm(name: string, width: number): LayerNormWeights {
    return {
      weight: this.tensor(`${name}.weight`, [width]),
      bias: this.tensor(`${name}.bias`, [width]),
    };
  }
}
