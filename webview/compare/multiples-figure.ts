import type { ComparedLines } from "../../src/runs/comparison/lines.ts";
import type { DataTable } from "../table.ts";

/** One small chart: the same quantity in every run. */
export interface MultiplesCell extends ComparedLines {
  /** One line under the title: the largest difference, or what is missing. */
  readonly note: string;
  /** [runs] layer of the axis to mark on a run's line; null for none. */
  readonly marks?: readonly (number | null)[];
}

/** Small charts side by side, all with the same axes. */
export interface MultiplesFigure {
  readonly title: string;
  readonly yLabel: string;
  readonly layers: number;
  /** [runs] */
  readonly runs: readonly string[];
  readonly cells: readonly MultiplesCell[];
  /** Upper bound of the vertical axis, where it does not follow the data. */
  readonly max?: number;
  format(value: number): string;
  formatDifference(value: number): string;
  /** Further lines of the tooltip at a layer. */
  details(layer: number): readonly string[];
}

/** All values of a figure, for its common scale. */
export function* valuesOf(figure: MultiplesFigure): Generator<number> {
  for (const { values } of figure.cells) {
    for (const line of values) for (const value of line ?? []) if (value !== null) yield value;
  }
}

/** Name and text of every value and difference that a cell holds at a layer. */
export function cellFacts(
  figure: MultiplesFigure,
  cell: MultiplesCell,
  layer: number,
): {
  readonly run: number;
  readonly name: string;
  readonly text: string;
  readonly difference: boolean;
}[] {
  const of = (difference: boolean) =>
    figure.runs.flatMap((name, run) => {
      const value = (difference ? cell.differences : cell.values)[run]?.[layer] ?? null;
      if (value === null) return [];
      const text = difference ? figure.formatDifference(value) : figure.format(value);
      return [{ run, name: difference ? `run ${run + 1} − run 1` : name, text, difference }];
    });
  return [...of(false), ...of(true)];
}

/** The figure as a table: a row for each small chart and layer. */
export function multiplesTable(figure: MultiplesFigure): DataTable {
  const others = figure.runs.map((_, run) => run).slice(1);
  return {
    caption: `${figure.title}: ${figure.yLabel} by layer`,
    columns: [
      { name: "What" },
      { name: "Layer" },
      ...figure.runs.map((name) => ({ name, format: figure.format })),
      ...others.map((run) => ({ name: `run ${run + 1} − run 1`, format: figure.formatDifference })),
    ],
    rows: figure.cells.flatMap((cell) =>
      Array.from({ length: figure.layers }, (_, layer) => [
        cell.name,
        layer + 1,
        ...figure.runs.map((_, run) => cell.values[run]?.[layer] ?? null),
        ...others.map((run) => cell.differences[run]?.[layer] ?? null),
      ]).filter((row) => row.slice(2).some((value) => value !== null)),
    ),
  };
}
