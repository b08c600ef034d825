/** Bytes of a number whose lowest eight bits are left out. */
const BYTES = 3;

/**
 * Numbers rounded to the nearest float32 whose lowest byte is zero, ties to even: 16 significant bits
 * in three quarters of the room. A number errs by at most 2^-16 of itself; a share of 1, such as an
 * attention weight, by at most 2^-17 (7.6e-6).
 */
export function roundToFloat24(values: Float32Array): Float32Array {
  const rounded = new Float32Array(values);
  const bits = new Uint32Array(rounded.buffer);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] ?? 0;
    // NaN stays as it is; rounding up its fraction could make an infinity of it.
    if ((value & 0x7fffffff) > 0x7f800000) bits[i] = (value | 0x00400000) & 0xffffff00;
    else bits[i] = (value + 0x7f + ((value >>> 8) & 1)) & 0xffffff00;
  }
  return rounded;
}

/** The upper three bytes of each number, little-endian. */
export function packFloat24(values: Float32Array): Uint8Array {
  const from = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const packed = new Uint8Array(values.length * BYTES);
  for (let i = 0; i < values.length; i++) {
    for (let byte = 0; byte < BYTES; byte++) packed[i * BYTES + byte] = from[i * 4 + 1 + byte] ?? 0;
  }
  return packed;
}

/** The numbers that were packed; undefined where the bytes are no whole number of them. */
export function unpackFloat24(packed: Uint8Array): Float32Array | undefined {
  if (packed.length % BYTES !== 0) return undefined;
  const values = new Float32Array(packed.length / BYTES);
  const into = new Uint8Array(values.buffer);
  for (let i = 0; i < values.length; i++) {
    for (let byte = 0; byte < BYTES; byte++) into[i * 4 + 1 + byte] = packed[i * BYTES + byte] ?? 0;
  }
  return values;
}
