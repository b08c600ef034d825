import { ModelError } from "../../../common/errors.ts";
import { isWeightDtype, shapeText } from "../../checkpoint/safetensors.ts";
import type { LocatedTensor, Weights } from "../../checkpoint/weights.ts";
import type { LayerNormWeights, LinearWeights } from "./spec.ts";

/**
 * Finds a checkpoint's tensors under the names of several library versions and checks their shapes.
 * Every message names the folder, the tensor and the shapes that do not fit.
 */
export class TensorLookup {
  readonly #folder: string;
  readonly #tensors: ReadonlyMap<string, LocatedTensor>;
  /** What the user should know of how the checkpoint was read: grows while it is. */
  readonly notices: string[];

  constructor(folder: string, weights: Weights) {
    this.#folder = folder;
    this.#tensors = weights.tensors;
    this.notices = [...weights.notices];
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
        `${found.file}: tensor "${name}" has shape ${shapeText(found.shape)}, ` +
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

  /**
   * `name.weight` [out, in] and `name.bias` [out].
   *
   * @param biased whether the model's class has the bias: a stored one that it has not is left out, as
   *   the library leaves it out, and noted. Absent: the checkpoint decides.
   */
  linear(name: string, out: number, input: number, biased?: boolean): LinearWeights {
    const weight = this.tensor(`${name}.weight`, [out, input]);
    const stored = this.has(`${name}.bias`);
    if (biased === false && stored) this.#noteUnused(`${name}.bias`);
    const bias = (biased ?? stored) ? this.tensor(`${name}.bias`, [out]) : undefined;
    return { weight, bias };
  }

  /** One notice for all tensors of one kind, whatever their layer. */
  #noteUnused(name: string): void {
    const kind = name.replace(/\.\d+\./, ".N.");
    const notice = `tensor ${kind} is not used: config.json says that the model has none, and transformers leaves it out, too`;
    if (!this.notices.includes(notice)) this.notices.push(notice);
  }

  /** `name.weight` and `name.bias`, each [width]. */
  layerNorm(name: string, width: number): LayerNormWeights {
    return {
      weight: this.tensor(`${name}.weight`, [width]),
      bias: this.tensor(`${name}.bias`, [width]),
    };
  }
}
