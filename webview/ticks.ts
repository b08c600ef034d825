/** Round steps of an axis: 1, 2 or 5 times a power of ten. */
const STEPS = [1, 2, 5, 10];

/** A value that passes a tick by less than this share of a step gets no step of its own. */
const SLACK = 0.05;

/** Bounds of an axis that hold all values (but for a hair) and 0, on round numbers, and the ticks between them. */
export function axisOf(
  values: Iterable<number>,
  wanted = 4,
): { readonly min: number; readonly max: number; readonly ticks: readonly number[] } {
  let low = 0;
  let high = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low || 1;
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  const step = power * (STEPS.find((factor) => factor * power * wanted >= span) ?? 10);
  const first = Math.floor(low / step + SLACK);
  const last = Math.max(first + 1, Math.ceil(high / step - SLACK));
  // Whole multiples of the step, so that no tick carries a rounding error of a running sum.
  const ticks = Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
  return { min: ticks[0] ?? 0, max: ticks.at(-1) ?? 1, ticks };
}
