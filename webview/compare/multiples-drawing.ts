import { farthest, type Values } from "../../src/runs/comparison/lines.ts";
import { tickText } from "../line-figure.ts";
import type { Pen } from "../pen.ts";
import { DASHES, SHAPES, type Theme } from "../theme.ts";
import { axisOf } from "../ticks.ts";
import { type MultiplesCell, type MultiplesFigure, valuesOf } from "./multiples-figure.ts";

const GUTTER = 54;
const GAP_X = 18;
const GAP_Y = 14;
const HEAD = 36;
const PLOT = 92;
const FOOT = 18;
const MIN_CELL = 168;
const MAX_COLUMNS = 4;
/** Room on the right, so that the last layer's label is not cut. */
const RIGHT = 8;
/** Mean width of a character of the 12-pixel title, for cutting long ones. */
const CHARACTER = 6.6;
const LEGEND_LINE = 18;
/** Points are drawn where layers are at least this many pixels apart. */
const POINTS_FROM = 7;

/** Where the small charts lie, in CSS pixels. */
export interface MultiplesLayout {
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  readonly cellWidth: number;
  /** Left and top of a cell's plot. */
  place(cell: number): { readonly x: number; readonly y: number };
  x(cell: number, layer: number): number;
  y(cell: number, value: number): number;
  readonly ticks: readonly number[];
}

/** Lays small charts out in as many columns as fit, all on the same axes. */
export function layMultiples(figure: MultiplesFigure, width: number): MultiplesLayout {
  const inner = width - GUTTER - RIGHT;
  const fit = Math.floor((inner + GAP_X) / (MIN_CELL + GAP_X));
  const columns = Math.max(1, Math.min(fit, MAX_COLUMNS, figure.cells.length));
  const cellWidth = (inner - GAP_X * (columns - 1)) / columns;
  const rows = Math.ceil(figure.cells.length / columns);
  const rowHeight = HEAD + PLOT + FOOT + GAP_Y;
  const { min, max, ticks } = axisOf(
    figure.max === undefined ? valuesOf(figure) : [figure.max, ...valuesOf(figure)],
    3,
  );
  const place = (cell: number) => ({
    x: GUTTER + (cell % columns) * (cellWidth + GAP_X),
    y: Math.floor(cell / columns) * rowHeight + HEAD,
  });
  return {
    width,
    height: rows * rowHeight - GAP_Y,
    columns,
    cellWidth,
    place,
    x: (cell, layer) => place(cell).x + (layer / Math.max(1, figure.layers - 1)) * cellWidth,
    y: (cell, value) => place(cell).y + PLOT - ((value - min) / (max - min || 1)) * PLOT,
    ticks,
  };
}

/** The cell and layer at a point; null beside the plots. */
export function cellAt(
  figure: MultiplesFigure,
  layout: MultiplesLayout,
  x: number,
  y: number,
): { readonly cell: number; readonly layer: number } | null {
  for (let cell = 0; cell < figure.cells.length; cell += 1) {
    const { x: left, y: top } = layout.place(cell);
    if (x < left - GAP_X / 2 || x > left + layout.cellWidth + GAP_X / 2) continue;
    if (y < top - HEAD || y > top + PLOT + FOOT) continue;
    const share = (x - left) / Math.max(1, layout.cellWidth);
    const layer = Math.round(share * (figure.layers - 1));
    return { cell, layer: Math.min(Math.max(layer, 0), figure.layers - 1) };
  }
  return null;
}

/** What is marked on screen only: the shown layer, and the chart the keyboard is in. */
export interface Marks {
  readonly layer: number;
  readonly cell: number | null;
}

export function drawMultiples(
  pen: Pen,
  figure: MultiplesFigure,
  layout: MultiplesLayout,
  theme: Theme,
  marks: Marks | null,
): void {
  figure.cells.forEach((cell, index) => {
    const { x, y } = layout.place(index);
    const right = x + layout.cellWidth;
    const cut = Math.floor(layout.cellWidth / CHARACTER);
    pen.text(shorten(cell.name, cut), x, y - 27, { fill: theme.foreground, size: 12, bold: true });
    pen.text(shorten(cell.note, Math.floor(cut * 1.12)), x, y - 12, {
      fill: theme.muted,
      size: 11,
    });
    for (const tick of layout.ticks) {
      const at = layout.y(index, tick);
      pen.line([x, at, right, at], tick === 0 ? theme.muted : theme.grid, 1);
      if (index % layout.columns > 0) continue;
      pen.text(tickText(figure.format(tick)), x - 6, at, {
        fill: theme.muted,
        size: 11,
        align: "right",
      });
    }
    for (const layer of axisLayers(figure.layers)) {
      pen.text(String(layer + 1), layout.x(index, layer), y + PLOT + 10, {
        fill: theme.muted,
        size: 11,
        align: layer === 0 ? "left" : layer === figure.layers - 1 ? "right" : "center",
      });
    }
    if (marks !== null) {
      const at = layout.x(index, marks.layer);
      pen.line([at, y, at, y + PLOT], theme.accent, 1);
    }
    drawDifference(pen, cell, index, layout, theme);
    cell.values.forEach((line, run) => {
      if (line !== null) drawLine(pen, figure, cell, line, { index, run }, layout, theme);
    });
    if (marks?.cell === index) {
      pen.frame(x - 7, y - HEAD + 2, layout.cellWidth + 14, HEAD + PLOT + FOOT - 2, theme.focus, 1);
    }
  });
}

/** First, middle and last layer. */
function axisLayers(layers: number): number[] {
  return [...new Set([0, Math.floor((layers - 1) / 2), layers - 1])].filter((layer) => layer >= 0);
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}

const runColor = (theme: Theme, run: number) =>
  theme.series[run % theme.series.length] ?? theme.foreground;

function drawLine(
  pen: Pen,
  figure: MultiplesFigure,
  cell: MultiplesCell,
  line: Values,
  { index, run }: { readonly index: number; readonly run: number },
  layout: MultiplesLayout,
  theme: Theme,
): void {
  const color = runColor(theme, run);
  const shape = SHAPES[run % SHAPES.length] ?? "circle";
  const spacing = layout.cellWidth / Math.max(1, figure.layers - 1);
  let piece: number[] = [];
  const flush = () => {
    pen.line(piece, color, 1.5, DASHES[run % DASHES.length] ?? []);
    piece = [];
  };
  line.forEach((value, layer) => {
    if (value === null) flush();
    else piece.push(layout.x(index, layer), layout.y(index, value));
  });
  flush();
  if (spacing >= POINTS_FROM) {
    line.forEach((value, layer) => {
      if (value === null) return;
      pen.marker(shape, layout.x(index, layer), layout.y(index, value), 2, color);
    });
  }
  const mark = cell.marks?.[run] ?? null;
  if (mark === null) return;
  const at = layout.x(index, mark);
  const { y } = layout.place(index);
  pen.line([at, y + PLOT, at, layout.y(index, line[mark] ?? 0)], color, 1, [2, 2]);
  pen.marker(shape, at, layout.y(index, line[mark] ?? 0), 4, color);
}

/** The area between two runs, in the colour of the one that lies higher. */
function drawDifference(
  pen: Pen,
  cell: MultiplesCell,
  index: number,
  layout: MultiplesLayout,
  theme: Theme,
): void {
  const [one, two] = cell.values;
  if (cell.values.length !== 2 || one == null || two == null) return;
  for (let layer = 0; layer + 1 < one.length; layer += 1) {
    const [a0, a1, b0, b1] = [one[layer], one[layer + 1], two[layer], two[layer + 1]];
    if (a0 == null || a1 == null || b0 == null || b1 == null) continue;
    const [d0, d1] = [b0 - a0, b1 - a1];
    // Where the lines cross, the area changes its colour.
    const cross = d0 * d1 < 0 ? d0 / (d0 - d1) : null;
    const at = (share: number) => ({
      x: layout.x(index, layer + share),
      a: layout.y(index, a0 + (a1 - a0) * share),
      b: layout.y(index, b0 + (b1 - b0) * share),
    });
    const pieces =
      cross === null
        ? [[0, 1]]
        : [
            [0, cross],
            [cross, 1],
          ];
    for (const [from = 0, to = 1] of pieces) {
      const [left, right] = [at(from), at(to)];
      const middle = d0 + (d1 - d0) * ((from + to) / 2);
      if (middle === 0) continue;
      pen.polygon(
        [left.x, left.a, right.x, right.a, right.x, right.b, left.x, left.b],
        runColor(theme, middle > 0 ? 1 : 0),
        0.2,
      );
    }
  }
}

/** Height of the legend below an exported picture, and how it is drawn. */
export function drawRunLegend(pen: Pen, names: readonly string[], top: number, theme: Theme): void {
  names.forEach((name, run) => {
    const y = top + run * LEGEND_LINE + LEGEND_LINE / 2;
    const color = runColor(theme, run);
    pen.line([GUTTER, y, GUTTER + 24, y], color, 1.5, DASHES[run % DASHES.length] ?? []);
    pen.marker(SHAPES[run % SHAPES.length] ?? "circle", GUTTER + 12, y, 3, color);
    pen.text(name, GUTTER + 30, y, { fill: theme.foreground, size: 12 });
  });
}

export const runLegendHeight = (runs: number) => runs * LEGEND_LINE + 6;

/** Largest differences, as the line under a small chart's title: "−12.3 at layer 7", "2: −12.3 · 3: +0.4". */
export function differenceNote(
  differences: readonly (Values | null)[],
  format: (value: number) => string,
): string {
  const largest = differences.flatMap((line, run) => {
    const found = farthest(line);
    return found === null ? [] : [{ ...found, run }];
  });
  const several = differences.length > 2;
  return largest
    .map(({ layer, value, run }) => {
      const text = format(value).replace(/ points$/, "");
      return several ? `${run + 1}: ${text}` : `${text} at layer ${layer + 1}`;
    })
    .join(" · ");
}
