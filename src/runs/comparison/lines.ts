import type { Alignment } from "./align.ts";

/** By layer; null where a run does not hold the number. */
export type Values = readonly (number | null)[];

/** One quantity of all runs on the common axis of layers. */
export interface ComparedLines {
  readonly name: string;
  /** [runs][layers of the axis]; null for a run that does not hold the quantity at all. */
  readonly values: readonly (Values | null)[];
  /** [runs][layers of the axis]: each run less the first; null for the first, and where one is missing. */
  readonly differences: readonly (Values | null)[];
}

/**
 * Puts each run's own values on the common axis and takes the differences to the first run.
 *
 * @param own [runs][own layers]; null for a run that does not hold the quantity.
 */
export function compareLines(
  name: string,
  own: readonly (Values | null)[],
  alignment: Alignment,
): ComparedLines {
  const values = own.map(
    (line, run) => line && (alignment.own[run]?.map((layer) => line[layer] ?? null) ?? null),
  );
  const [first] = values;
  return {
    name,
    values,
    differences: values.map((line, run) =>
      run === 0 || line === null || first == null
        ? null
        : line.map((value, layer) => {
            const base = first[layer] ?? null;
            return value === null || base === null ? null : value - base;
          }),
    ),
  };
}

/** Where a line is farthest from 0: the value and its layer, 0-based; null when it holds nothing. */
export function farthest(line: Values | null): { layer: number; value: number } | null {
  let found: { layer: number; value: number } | null = null;
  line?.forEach((value, layer) => {
    if (value === null) return;
    if (found === null || Math.abs(value) > Math.abs(found.value)) found = { layer, value };
  });
  return found;
}
