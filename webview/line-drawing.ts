import { type LineFigure, tickText } from "./line-figure.ts";
import type { Pen } from "./pen.ts";
import type { Drawing } from "./section.ts";
import { DASHES, SHAPES, type Theme } from "./theme.ts";

/** What a line figure's drawing takes from the chart on screen: size, bounds and ticks. */
export interface PlotGeometry {
  readonly width: number;
  readonly height: number;
  readonly min: number;
  readonly max: number;
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
}

const LEFT = 62;
const RIGHT = 16;
const TOP = 34;
const BOTTOM = 40;
const LEGEND_LINE = 18;

/** A line figure for paper: title, axes with labels, lines with dashes and points, legend below. */
export function drawLineFigure(figure: LineFigure, geometry: PlotGeometry, theme: Theme): Drawing {
  const { width, height, min, max } = geometry;
  const perRow = Math.max(1, Math.floor((width - LEFT) / 200));
  const legendRows = Math.ceil(figure.series.length / perRow);
  const plotBottom = height - BOTTOM + TOP;
  const x = (layer: number) =>
    LEFT + ((layer - 1) / Math.max(1, figure.layers - 1)) * (width - LEFT - RIGHT);
  const y = (value: number) => {
    const share = (value - min) / (max - min || 1);
    return plotBottom - (figure.reverse === true ? 1 - share : share) * (plotBottom - TOP);
  };
  const color = (slot: number) => theme.series[slot % theme.series.length] ?? theme.foreground;
  const small = { fill: theme.muted, size: 11 };
  const text = { fill: theme.foreground, size: 12 };

  return {
    width,
    height: plotBottom + BOTTOM + 6 + legendRows * LEGEND_LINE,
    draw: (pen) => {
      pen.text(figure.title, LEFT, 14, { ...text, size: 13, bold: true });
      for (const tick of geometry.yTicks) {
        const at = y(tick);
        pen.line([LEFT, at, width - RIGHT, at], tick === 0 ? theme.muted : theme.grid, 1);
        pen.text(tickText(figure.format(tick)), LEFT - 6, at, {
          ...small,
          align: "right",
        });
      }
      for (const tick of geometry.xTicks) {
        pen.text(String(tick), x(tick), plotBottom + 12, { ...small, align: "center" });
      }
      pen.text("Layer", (LEFT + width - RIGHT) / 2, plotBottom + 28, {
        ...text,
        align: "center",
      });
      pen.text(figure.yLabel, 12, (TOP + plotBottom) / 2, {
        ...text,
        align: "center",
        vertical: true,
      });
      drawSeries(pen, figure, x, y, color);
      figure.series.forEach((series, index) => {
        const left = LEFT + (index % perRow) * 200;
        const at = plotBottom + BOTTOM + 8 + Math.floor(index / perRow) * LEGEND_LINE;
        const dash = DASHES[series.slot % DASHES.length] ?? [];
        pen.line([left, at, left + 24, at], color(series.slot), series.emphasised ? 3 : 1.5, dash);
        pen.marker(
          SHAPES[series.slot % SHAPES.length] ?? "circle",
          left + 12,
          at,
          3,
          color(series.slot),
        );
        pen.text(series.name, left + 30, at, { ...text, bold: series.emphasised === true });
      });
    },
  };
}

function drawSeries(
  pen: Pen,
  figure: LineFigure,
  x: (layer: number) => number,
  y: (value: number) => number,
  color: (slot: number) => string,
): void {
  const base = new Array<number>(figure.layers).fill(0);
  for (const series of figure.series) {
    const known: { x: number; low: number; y: number }[][] = [[]];
    series.values.forEach((value, layer) => {
      if (value === null) {
        known.push([]);
        return;
      }
      const low = figure.stacked ? (base[layer] ?? 0) : 0;
      base[layer] = low + value;
      known.at(-1)?.push({ x: x(layer + 1), low: y(low), y: y(low + value) });
    });
    for (const run of known) {
      const line = run.flatMap((point) => [point.x, point.y]);
      if (figure.stacked) {
        const back = [...run].reverse().flatMap((point) => [point.x, point.low]);
        pen.polygon([...line, ...back], color(series.slot), 0.55);
      }
      const dash = figure.stacked ? [] : (DASHES[series.slot % DASHES.length] ?? []);
      pen.line(line, color(series.slot), series.emphasised ? 3 : 1.5, dash);
      if (figure.stacked) continue;
      for (const point of run) {
        const shape = SHAPES[series.slot % SHAPES.length] ?? "circle";
        pen.marker(shape, point.x, point.y, series.emphasised ? 3.5 : 2.5, color(series.slot));
      }
    }
  }
}
