import type { DataTable } from "./table.ts";

/** One line over the layers. */
export interface LineSeries {
  readonly name: string;
  /** By layer, 0-based; null where nothing is known yet. */
  readonly values: readonly (number | null)[];
  /** Drawn thicker: the true option. */
  readonly emphasised?: boolean;
  /** Fixed colour slot, so that a series keeps its colour when others come and go. */
  readonly slot: number;
}

/** Lines over layers: what a chart draws, its table lists and its exports hold. */
export interface LineFigure {
  readonly title: string;
  readonly yLabel: string;
  readonly layers: number;
  readonly series: readonly LineSeries[];
  /** Bounds of the vertical axis; absent ones follow the data (0 is always inside). */
  readonly min?: number;
  readonly max?: number;
  /** Lines stacked on each other as areas. */
  readonly stacked?: boolean;
  /** Small values at the top: ranks. */
  readonly reverse?: boolean;
  format(value: number): string;
  /** Further lines of the tooltip at a layer. */
  details?(layer: number): readonly string[];
  /** Layers to shade when a layer is pointed at, half-open. */
  window?(layer: number): readonly (readonly [number, number])[];
}

/** A formatted value as an axis shows it: no needless decimals. */
export function tickText(text: string): string {
  return text.replace(/\.0 (%|points)$/, " $1");
}

/** The figure as a table: a row per layer, a column per series. */
export function figureTable(figure: LineFigure): DataTable {
  const rows: (number | null)[][] = [];
  for (let layer = 0; layer < figure.layers; layer += 1) {
    const values = figure.series.map((series) => series.values[layer] ?? null);
    if (values.some((value) => value !== null)) rows.push([layer + 1, ...values]);
  }
  return {
    caption: `${figure.title}: ${figure.yLabel} by layer`,
    columns: [
      { name: "Layer" },
      ...figure.series.map(({ name }) => ({ name, format: figure.format })),
    ],
    rows,
  };
}

/** One sentence for screen readers: the figure's values at a layer. */
export function sentence(figure: LineFigure, layer: number): string {
  const values = figure.series.flatMap(({ name, values: at }) => {
    const value = at[layer];
    return value === null || value === undefined ? [] : [`${name} ${figure.format(value)}`];
  });
  const details = figure.details?.(layer) ?? [];
  if (values.length === 0) return `Layer ${layer + 1}: not computed yet`;
  return `Layer ${layer + 1}: ${[...values, ...details].join("; ")}`;
}
