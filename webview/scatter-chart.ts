import { Chart, LinearScale, LineElement, PointElement, ScatterController } from "chart.js";
import { swatch } from "./chart-legend.ts";
import type { DrawContext } from "./context.ts";
import { el, fill, onWidth, setAttributes, setText, show } from "./dom.ts";
import { drawScatter } from "./scatter-drawing.ts";
import {
  SCATTER_RADIUS,
  SCATTER_STEP,
  type ScatterFigure,
  type ScatterPoint,
  type ScatterSeries,
} from "./scatter-figure.ts";
import type { Drawing } from "./section.ts";
import { alpha, chartFont, DASHES, SHAPES } from "./theme.ts";

Chart.register(ScatterController, PointElement, LineElement, LinearScale);

/** How near a point the pointer has to be, in pixels. */
const REACH = 16;

/**
 * A scatter plot (chart.js) whose points can be pointed at and chosen, with the pointer or, one by
 * one from left to right, with the arrow keys.
 */
export class ScatterChart {
  readonly element: HTMLElement;
  readonly #context: DrawContext;
  readonly #canvas = el("canvas", { role: "img" });
  readonly #ring = el("div", { class: "scatter-ring", hidden: true });
  readonly #tip = el("div", { class: "tip", role: "presentation", hidden: true });
  readonly #plot = el("div", { class: "plot" }, this.#canvas, this.#ring, this.#tip);
  readonly #legend = el("ul", { class: "legend static" });
  readonly #chart: Chart<"scatter">;
  #figure: ScatterFigure | null = null;
  /** Points that can be chosen, from left to right. */
  #stops: readonly ScatterPoint[] = [];
  #at = -1;

  constructor(context: DrawContext, height: number) {
    this.#context = context;
    this.#plot.style.height = `${height}px`;
    this.element = el("div", { class: "chart" }, this.#plot, this.#legend);
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
    this.#listen();
  }

  render(figure: ScatterFigure): void {
    this.#figure = figure;
    this.#stops = figure.series
      .flatMap(({ points }) => points)
      .filter(({ choose }) => choose !== undefined)
      .toSorted((a, b) => a.x - b.x || a.y - b.y);
    this.#describe(figure);
    this.#chart.data.datasets = [...this.#bound(figure), ...figure.series.map((s) => this.#set(s))];
    this.#axis("x", figure.xLabel, figure.x, figure);
    this.#axis("y", figure.yLabel, figure.y, figure);
    this.#chart.update("none");
    fill(
      this.#legend,
      ...figure.series
        .filter(({ points }) => points.length > 0)
        .map(({ name, slot }) =>
          el("li", {}, swatch({ name, slot, values: [] }), el("span", {}, name)),
        ),
    );
    const shown = this.#stops[this.#at];
    if (shown !== undefined && !this.#tip.hidden) this.#point(shown);
  }

  drawing(): Drawing | null {
    const figure = this.#figure;
    if (figure === null || figure.series.every(({ points }) => points.length === 0)) return null;
    return drawScatter(figure, this.#context.theme, Math.max(420, this.#plot.clientWidth));
  }

  #set({ name, slot, look, points }: ScatterSeries) {
    const { theme } = this.#context;
    const color = theme.series[slot] ?? theme.foreground;
    return {
      label: name,
      data: points.map(({ x, y }) => ({ x, y })),
      pointStyle: SHAPES[slot] ?? ("circle" as const),
      pointRadius: SCATTER_RADIUS[look],
      backgroundColor: look === "faint" ? alpha(color, theme.highContrast ? 1 : 0.55) : color,
      borderColor: look === "mark" ? theme.foreground : color,
      borderWidth: look === "line" || look === "mark" ? 1.5 : 0,
      showLine: look === "line",
      // Points on the edge of the plot are drawn whole.
      clip: false as const,
      // Between two points, what is known is the one with fewer edges.
      stepped: look === "line",
      order: look === "mark" ? 0 : look === "faint" ? 3 : 1,
    };
  }

  #bound({ bound, x }: ScatterFigure) {
    if (bound === undefined) return [];
    const data = x.map((at) => ({ x: at, y: bound.y }));
    const common = { label: bound.name, data, pointRadius: 0, showLine: true, borderWidth: 1 };
    const borderDash = [...(DASHES[1] ?? [])];
    return [{ ...common, borderColor: this.#context.theme.muted, borderDash, order: 2 }];
  }

  #axis(
    name: "x" | "y",
    label: string,
    [min, max]: readonly [number, number],
    figure: ScatterFigure,
  ) {
    const axis = this.#chart.options.scales?.[name];
    if (axis === undefined) return;
    const { theme } = this.#context;
    axis.grid = { color: theme.grid, drawTicks: false };
    axis.border = { display: false };
    Object.assign(axis, {
      min,
      max,
      title: { display: true, text: label, color: theme.muted, font: chartFont(theme) },
      ticks: {
        color: theme.muted,
        font: chartFont(theme),
        stepSize: SCATTER_STEP,
        maxRotation: 0,
        callback: (value: number | string) => figure.format(Number(value)).replace(".0 %", " %"),
      },
    });
  }

  #describe(figure: ScatterFigure): void {
    const counts = figure.series.map(({ name, points }) => `${name}, ${points.length} points`);
    const canChoose = this.#stops.length > 0;
    setAttributes(this.#canvas, {
      role: canChoose ? "slider" : "img",
      tabindex: canChoose ? 0 : null,
      "aria-label": `${figure.title}: ${counts.join("; ")}`,
      "aria-valuemin": canChoose ? 1 : null,
      "aria-valuemax": canChoose ? this.#stops.length : null,
      "aria-valuenow": canChoose ? Math.max(1, this.#at + 1) : null,
      "aria-valuetext": canChoose ? (this.#stops[this.#at]?.lines.join("; ") ?? "no point") : null,
    });
  }

  #listen(): void {
    const canvas = this.#canvas;
    canvas.addEventListener("pointermove", (event) => this.#point(this.#nearest(event)));
    canvas.addEventListener("pointerleave", () => this.#point(undefined));
    canvas.addEventListener("click", (event) => this.#nearest(event)?.choose?.());
    canvas.addEventListener("blur", () => this.#point(undefined));
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#point(undefined);
      const stop = this.#stops[this.#at];
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        stop?.choose?.();
      }
      const last = this.#stops.length - 1;
      const next = { ArrowLeft: this.#at - 1, ArrowRight: this.#at + 1, Home: 0, End: last }[
        event.key
      ];
      if (next === undefined || last < 0) return;
      event.preventDefault();
      this.#at = Math.min(Math.max(next, 0), last);
      this.#point(this.#stops[this.#at]);
      if (this.#figure !== null) this.#describe(this.#figure);
    });
  }

  #nearest(event: MouseEvent): ScatterPoint | undefined {
    let best: ScatterPoint | undefined;
    let nearest = REACH ** 2;
    // Later series lie on top.
    for (const point of this.#figure?.series.flatMap(({ points }) => points) ?? []) {
      const { x, y } = this.#pixel(point);
      const distance = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
      if (distance > nearest) continue;
      nearest = distance;
      best = point;
    }
    return best;
  }

  #pixel({ x, y }: ScatterPoint): { x: number; y: number } {
    const scales = this.#chart.scales;
    return { x: scales.x?.getPixelForValue(x) ?? 0, y: scales.y?.getPixelForValue(y) ?? 0 };
  }

  #point(point: ScatterPoint | undefined): void {
    show(this.#tip, point !== undefined);
    show(this.#ring, point !== undefined);
    if (point === undefined) return;
    const { x, y } = this.#pixel(point);
    this.#ring.style.left = `${x}px`;
    this.#ring.style.top = `${y}px`;
    const [title, ...lines] = point.lines;
    const head = el("div", { class: "tip-title" });
    setText(head, title ?? "");
    fill(this.#tip, head, ...lines.map((line) => el("div", { class: "detail" }, line)));
    const width = this.#plot.clientWidth;
    this.#tip.style.left = x <= width / 2 ? `${x + 14}px` : "auto";
    this.#tip.style.right = x > width / 2 ? `${width - x + 14}px` : "auto";
  }
}
