import { SCATTER_RADIUS, SCATTER_STEP, type ScatterFigure } from "./scatter-figure.ts";
import type { Drawing } from "./section.ts";
import { DASHES, SHAPES, type Theme } from "./theme.ts";

const HEIGHT = 320;
const LEFT = 60;
const TOP = 34;
const BOTTOM = 80;
/** Width of a legend entry. */
const ENTRY = 150;

/** A scatter figure for export: axes, bound, points, legend. */
export function drawScatter(figure: ScatterFigure, theme: Theme, width: number): Drawing {
  const [left, right] = figure.x;
  const [low, high] = figure.y;
  const x = (value: number) => LEFT + ((value - left) / (right - left)) * (width - LEFT - 16);
  const y = (value: number) =>
    HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
  const small = { fill: theme.muted, size: 11 };
  const shown = figure.series.filter(({ points }) => points.length > 0);
  const columns = Math.max(1, Math.floor((width - LEFT) / ENTRY));
  const rows = Math.ceil(shown.length / columns);
  return {
    width,
    height: HEIGHT + (rows - 1) * 18,
    draw: (pen) => {
      pen.text(figure.title, LEFT, 14, { fill: theme.foreground, size: 13, bold: true });
      for (const tick of ticks(figure.y)) {
        pen.line([x(left), y(tick), x(right), y(tick)], theme.grid, 1);
        pen.text(figure.format(tick), LEFT - 6, y(tick), { ...small, align: "right" });
      }
      for (const tick of ticks(figure.x)) {
        pen.text(figure.format(tick), x(tick), y(low) + 12, { ...small, align: "center" });
      }
      const middle = (x(left) + x(right)) / 2;
      pen.text(figure.xLabel, middle, y(low) + 28, { ...small, align: "center" });
      pen.text(figure.yLabel, x(left), TOP - 8, small);
      const { bound } = figure;
      if (bound !== undefined) {
        const at = y(bound.y);
        pen.line([x(left), at, x(right), at], theme.muted, 1, DASHES[1]);
        pen.text(bound.name, x(right), at - 7, { ...small, align: "right" });
      }
      shown.forEach(({ name, slot, look, points }, index) => {
        const fill = theme.series[slot] ?? theme.foreground;
        const shape = SHAPES[slot] ?? "circle";
        if (look === "line") {
          const steps = points.flatMap((point, i) => {
            const before = points[i - 1];
            return before === undefined
              ? [x(point.x), y(point.y)]
              : [x(point.x), y(before.y), x(point.x), y(point.y)];
          });
          pen.line(steps, fill, 1.5);
        }
        for (const point of points) {
          pen.marker(shape, x(point.x), y(point.y), SCATTER_RADIUS[look], fill);
        }
        const entry = LEFT + (index % columns) * ENTRY;
        const line = HEIGHT - 22 + Math.floor(index / columns) * 18;
        pen.marker(shape, entry + 6, line, 4, fill);
        pen.text(name, entry + 16, line, { fill: theme.foreground, size: 12 });
      });
    },
  };
}

function ticks([first, last]: readonly [number, number]): number[] {
  const count = Math.round((last - first) / SCATTER_STEP);
  return Array.from({ length: count + 1 }, (_, i) => first + i * SCATTER_STEP);
}
