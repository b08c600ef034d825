/** IEEE half-precision bits of each number, rounded to nearest even; overflow becomes infinity. */
export function toHalf(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = halfBits(bits[i] ?? 0);
  return halves;
}

function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // From here on fp32 rounds beyond the largest half, 65504.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | roundShift(magnitude - 0x38000000, 13);
  // Subnormal halves are multiples of 2^-24.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 25) return sign;
  return sign | roundShift((magnitude & 0x7fffff) | 0x800000, shift);
}

/** x / 2^shift, ties to even. */
function roundShift(x: number, shift: number): number {
  const floor = x >>> shift;
  const rest = x & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  return rest > tie || (rest === tie && (floor & 1) === 1) ? floor + 1 : floor;
}
