import type { ConfigReader } from "../../../common/config-reader.ts";
import type { Activation } from "./spec.ts";

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  quick_gelu: "quick_gelu",
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  silu: "silu",
  swish: "silu",
  relu: "relu",
};

/**
 * An activation by the name a configuration gives it.
 *
 * @throws ModelError naming the key when it is not supported.
 */
export function readActivation(config: ConfigReader, key: string, fallback: string): Activation {
  const found = ACTIVATIONS[config.text(key, fallback)];
  if (found === undefined) {
    throw config.refuse(key, `supported are ${Object.keys(ACTIVATIONS).join(", ")}`);
  }
  return found;
}
