import { open } from "node:fs/promises";
import { ModelError } from "../../common/errors.ts";
import type { LocatedTensor } from "../checkpoint/weights.ts";

/** What is read of a file at once. */
const CHUNK_BYTES = 16 * 1024 * 1024;

/** Bits of a number's exponent, all set in infinities and NaN, by how safetensors call its type. */
const FORMATS = {
  F32: { bytes: 4, exponent: 0x7f800000, fraction: 0x007fffff },
  F16: { bytes: 2, exponent: 0x7c00, fraction: 0x03ff },
  BF16: { bytes: 2, exponent: 0x7f80, fraction: 0x007f },
} as const;

/** Whether all values are finite; one pass without branches. */
export function allFinite(values: Float32Array): boolean {
  let zero = 0;
  for (let i = 0; i < values.length; i++) zero += 0 * (values[i] ?? 0);
  return zero === 0;
}

/**
 * The error for numbers that are not finite. Looks through the weights that made them for the one at
 * fault, which takes as long as reading them does.
 *
 * @param what is not finite: "the video's features are not finite".
 * @param made what holds the weights: any part of a model's specification.
 * @param otherwise what to say where all weights are finite.
 */
export async function notFinite(
  place: string,
  what: string,
  made: unknown,
  otherwise: string,
): Promise<ModelError> {
  for (const tensor of tensorsIn(made)) {
    const found = await firstNotFinite(tensor).catch(() => undefined);
    if (found === undefined) continue;
    return new ModelError(
      `${tensor.file}: tensor "${tensor.name}" holds ${found}, so ${what}; ` +
        "copy or download this file again",
    );
  }
  return new ModelError(`${place}: ${what}; ${otherwise}`);
}

/** The tensors that a part of a specification names, each once, in its order. */
function tensorsIn(part: unknown): LocatedTensor[] {
  const found = new Map<string, LocatedTensor>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
    if (isTensor(value)) found.set(value.name, value);
    else for (const inner of Object.values(value)) visit(inner);
  };
  visit(part);
  return [...found.values()];
}

function isTensor(value: object): value is LocatedTensor {
  return "file" in value && "offset" in value && "name" in value;
}

/** The first number of a stored tensor that is not finite, and where: "NaN at [5, 7]". */
async function firstNotFinite(tensor: LocatedTensor): Promise<string | undefined> {
  const format = Object.entries(FORMATS).find(([dtype]) => dtype === tensor.dtype)?.[1];
  if (format === undefined) return undefined;
  const { bytes, exponent, fraction } = format;
  const file = await open(tensor.file, "r");
  try {
    const buffer = new ArrayBuffer(Math.min(CHUNK_BYTES, tensor.length));
    for (let done = 0; done < tensor.length; done += buffer.byteLength) {
      const count = Math.min(buffer.byteLength, tensor.length - done);
      const read = await file.read(
        new Uint8Array(buffer, 0, count),
        0,
        count,
        tensor.offset + done,
      );
      const whole = Math.floor(read.bytesRead / bytes);
      const bits =
        bytes === 4 ? new Uint32Array(buffer, 0, whole) : new Uint16Array(buffer, 0, whole);
      const at = bits.findIndex((value) => (value & exponent) === exponent);
      if (at < 0) continue;
      const value = ((bits[at] ?? 0) & fraction) === 0 ? "an infinity" : "NaN";
      return `${value} at [${placeOf(done / bytes + at, tensor.shape).join(", ")}]`;
    }
    return undefined;
  } finally {
    await file.close();
  }
}

/** A flat index as one index for each axis. */
function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  let rest = index;
  for (const extent of shape.toReversed()) {
    place.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return place;
}
