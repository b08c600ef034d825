import { packFloat24, unpackFloat24 } from "../common/float24.ts";
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

const ARRAY_OF = { f32: Float32Array, f16: Uint16Array, i32: Int32Array, u8: Uint8Array } as const;

/** A tensor's elements as they stand in a file: little-endian, as all machines are that it runs on. */
export function tensorBytes({ dtype, data }: Pick<Tensor, "dtype" | "data">): Uint8Array {
  if (dtype === "f24" && data instanceof Float32Array) return packFloat24(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * A tensor's elements from the bytes of a file; undefined where those are no whole number of them.
 *
 * @param bytes at the start of a buffer of their own, which the elements may share.
 */
export function tensorElements(
  dtype: Tensor["dtype"],
  bytes: Uint8Array<ArrayBuffer>,
): Tensor["data"] | undefined {
  if (dtype === "f24") return unpackFloat24(bytes);
  const ArrayType = ARRAY_OF[dtype];
  return bytes.length % ArrayType.BYTES_PER_ELEMENT === 0 ? new ArrayType(bytes.buffer) : undefined;
}
