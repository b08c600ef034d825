import { Chart, LinearScale, PointElement, ScatterController } from "chart.js";
import type { Context } from "./context.ts";
import { el, onWidth } from "./dom.ts";
import type { Drawing } from "./section.ts";
import { SHAPES } from "./theme.ts";

Chart.register(ScatterController, PointElement, LinearScale);

/** Points on two axes that both run from 0 to 1. */
export interface ScatterFigure {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  format(value: number): string;
  readonly series: readonly {
    readonly name: string;
    readonly slot: number;
    readonly points: readonly (readonly [number, number])[];
  }[];
}

const TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1];

/** A scatter plot (chart.js) of shares against shares. */
export class ScatterChart {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #canvas = el("canvas", { role: "img" });
  readonly #plot = el("div", { class: "plot" }, this.#canvas);
  readonly #chart: Chart<"scatter">;
  #figure: ScatterFigure | null = null;

  constructor(context: Context, height: number) {
    this.#context = context;
    this.#plot.style.height = `${height}px`;
    this.element = el("div", { class: "chart" }, this.#plot);
    this.#chart = new Chart(this.#canvas, {
      type: "scatter",
      data: { datasets: [] },
      options: {
        animation: false,
        responsive: false,
        maintainAspectRatio: false,
        events: [],
        layout: { padding: { top: 6, right: 10 } },
        scales: { x: { min: 0, max: 1 }, y: { min: 0, max: 1 } },
      },
    });
    onWidth(this.#plot, () => this.#chart.resize());
  }

  render(figure: ScatterFigure): void {
    this.#figure = figure;
    const { theme } = this.#context;
    this.#canvas.setAttribute(
      "aria-label",
      `${figure.title}: ${figure.series.map(({ name, points }) => `${name}, ${points.length} points`).join("; ")}`,
    );
    this.#chart.data.datasets = figure.series.map(({ name, slot, points }) => ({
      label: name,
      data: points.map(([x, y]) => ({ x, y })),
      pointStyle: SHAPES[slot] ?? "circle",
      pointRadius: 4,
      backgroundColor: theme.series[slot] ?? theme.foreground,
      borderWidth: 0,
    }));
    for (const [axis, label] of [
      [this.#chart.options.scales?.x, figure.xLabel],
      [this.#chart.options.scales?.y, figure.yLabel],
    ] as const) {
      if (axis === undefined) continue;
      axis.grid = { color: theme.grid, drawTicks: false };
      axis.border = { display: false };
      Object.assign(axis, {
        title: { display: true, text: label, color: theme.muted },
        ticks: {
          color: theme.muted,
          stepSize: 0.2,
          maxRotation: 0,
          callback: (value: number | string) => figure.format(Number(value)).replace(".0 %", " %"),
        },
      });
    }
    this.#chart.update("none");
  }

  drawing(): Drawing | null {
    const figure = this.#figure;
    if (figure === null || figure.series.every(({ points }) => points.length === 0)) return null;
    const { theme } = this.#context;
    const [width, height] = [Math.max(420, this.#plot.clientWidth), 300];
    const x = (value: number) => 60 + value * (width - 76);
    const y = (value: number) => height - 60 - value * (height - 94);
    const small = { fill: theme.muted, size: 11 };
    return {
      width,
      height,
      draw: (pen) => {
        pen.text(figure.title, 60, 14, { fill: theme.foreground, size: 13, bold: true });
        for (const tick of TICKS) {
          pen.line([x(0), y(tick), x(1), y(tick)], theme.grid, 1);
          pen.text(figure.format(tick), 54, y(tick), { ...small, align: "right" });
          pen.text(figure.format(tick), x(tick), y(0) + 12, { ...small, align: "center" });
        }
        pen.text(figure.xLabel, (x(0) + x(1)) / 2, y(0) + 28, { ...small, align: "center" });
        figure.series.forEach(({ name, slot, points }, index) => {
          const fill = theme.series[slot] ?? theme.foreground;
          for (const [px, py] of points)
            pen.marker(SHAPES[slot] ?? "circle", x(px), y(py), 4, fill);
          pen.marker(SHAPES[slot] ?? "circle", 66 + index * 160, height - 12, 4, fill);
          pen.text(name, 76 + index * 160, height - 12, { fill: theme.foreground, size: 12 });
        });
      },
    };
  }
}
