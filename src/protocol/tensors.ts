import { fromHalf } from "../common/half.ts";
import type { Tensor } from "./events.ts";

/** A tensor's numbers as they are meant; half-precision bits are widened. */
export function tensorNumbers(
  tensor: Pick<Tensor, "dtype" | "data">,
): Float32Array | Int32Array | Uint8Array {
  const { data } = tensor;
  if (!(data instanceof Uint16Array)) return data;
  return tensor.dtype === "f16" ? fromHalf(data) : Float32Array.from(data);
}
