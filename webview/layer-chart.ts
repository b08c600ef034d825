import {
  Chart,
  type ChartConfiguration,
  type ChartDataset,
  Filler,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
} from "chart.js";
import { ChartLegend, swatch } from "./chart-legend.ts";
import type { DrawContext } from "./context.ts";
import { el, fill, onWidth, setAttributes, show } from "./dom.ts";
import { layerStep } from "./layer-step.ts";
import { drawLineFigure, type PlotGeometry } from "./line-drawing.ts";
import { type LineFigure, type LineSeries, sentence, tickText } from "./line-figure.ts";
import type { Drawing } from "./section.ts";
import { alpha, chartFont, DASHES, SHAPES } from "./theme.ts";

Chart.register(LineController, LineElement, PointElement, LinearScale, Filler);

type Point = { x: number; y: number | null };
type Dataset = ChartDataset<"line", Point[]>;

/** Above this many layers points are drawn only where the pointer is. */
const POINTS_UP_TO = 48;

/**
 * A line chart over layers (chart.js), with what belongs to it: legend, tooltip, the chosen layer's
 * mark, the shaded window, and the arrow keys. The marks lie above the canvas as elements, so that
 * pointing and choosing never redraw it.
 */
export class LayerChart {
  readonly element: HTMLElement;
  readonly #context: DrawContext;
  readonly #canvas = el("canvas", { tabindex: 0, role: "slider" });
  readonly #plot: HTMLElement;
  readonly #legend: ChartLegend;
  readonly #mark = el("div", { class: "mark" });
  readonly #shade = el("div", { class: "shade" });
  readonly #tip = el("div", { class: "tip", role: "presentation", hidden: true });
  readonly #chart: Chart<"line", Point[]>;
  /** The theme that the datasets were made in. */
  #drawnIn: DrawContext["theme"] | null = null;
  #figure: LineFigure | null = null;

  constructor(context: DrawContext, height = 220) {
    this.#context = context;
    this.#plot = el("div", { class: "plot" }, this.#shade, this.#canvas, this.#mark, this.#tip);
    this.#plot.style.height = `${height}px`;
    this.#legend = new ChartLegend(() => {
      if (this.#figure !== null) this.render(this.#figure);
    });
    this.element = el("div", { class: "chart" }, this.#plot, this.#legend.element);
    this.#chart = new Chart(this.#canvas, this.#configuration());
    onWidth(this.#plot, () => {
      this.#chart.resize();
      this.renderMarks();
    });
    this.#listen();
  }

  /** Draws a figure; datasets are kept and only their numbers replaced. */
  render(figure: LineFigure): void {
    this.#figure = figure;
    const { theme } = this.#context;
    const datasets = this.#chart.data.datasets as Dataset[];
    // Points keep the options they were made with; under another theme they are made anew.
    if (theme !== this.#drawnIn) datasets.length = 0;
    this.#drawnIn = theme;
    figure.series.forEach((series, index) => {
      const dataset: Dataset = datasets[index] ?? { data: [] };
      datasets[index] = dataset;
      Object.assign(dataset, this.#style(series, figure));
      if (figure.stacked === true) dataset.fill = index === 0 ? "origin" : "-1";
      else dataset.fill = false;
      dataset.data = Array.from({ length: figure.layers }, (_, layer) => ({
        x: layer + 1,
        y: series.values[layer] ?? null,
      }));
      dataset.hidden = this.#legend.hidden.has(series.name);
    });
    datasets.length = figure.series.length;
    const { x, y } = this.#chart.options.scales ?? {};
    if (x !== undefined) {
      x.min = 1;
      x.max = Math.max(2, figure.layers);
      x.grid = { color: theme.grid, drawTicks: false };
      x.border = { color: theme.border };
      Object.assign(x.ticks ?? {}, { color: theme.muted, font: chartFont(theme) });
    }
    if (y !== undefined) {
      Object.assign(y, {
        min: figure.min,
        max: figure.max,
        stacked: figure.stacked === true,
        reverse: figure.reverse === true,
        beginAtZero: figure.reverse !== true,
      });
      y.grid = {
        color: (tick) => (tick.tick.value === 0 ? theme.border : theme.grid),
        drawTicks: false,
      };
      y.border = { display: false };
      Object.assign(y.ticks ?? {}, {
        color: theme.muted,
        font: chartFont(theme),
        callback: (value: number | string) => tickText(figure.format(Number(value))),
      });
    }
    this.#chart.update("none");
    this.#legend.render(figure);
    this.renderMarks();
  }

  /** Moves the marks to the chosen and hovered layer. */
  renderMarks(): void {
    const figure = this.#figure;
    if (figure === null) return;
    const { store } = this.#context;
    const area = this.#chart.chartArea;
    if (area === undefined) return;
    const shown = store.shownLayer;
    const place = (node: HTMLElement, layer: number, to = layer) => {
      const [from, end] = [this.#x(layer), this.#x(to)];
      node.style.transform = `translateX(${from}px)`;
      node.style.top = `${area.top}px`;
      node.style.height = `${area.height}px`;
      if (node === this.#shade) node.style.width = `${Math.max(0, end - from)}px`;
    };
    show(this.#mark, figure.layers > 0);
    place(this.#mark, shown);
    this.#mark.classList.toggle("hovered", store.hover.layer !== null);
    const window = store.hover.layer === null ? [] : (figure.window?.(store.hover.layer) ?? []);
    const [first] = window;
    show(this.#shade, first !== undefined);
    if (first !== undefined) {
      place(this.#shade, Math.max(0, first[0] - 0.5), Math.min(figure.layers - 1, first[1] - 0.5));
    }
    setAttributes(this.#canvas, {
      "aria-label": `${figure.title}, ${figure.yLabel}. Arrow keys move over the layers.`,
      "aria-valuemin": 1,
      "aria-valuemax": Math.max(1, figure.layers),
      "aria-valuenow": shown + 1,
      "aria-valuetext": sentence(figure, shown),
    });
  }

  /** The chart as it stands, for PNG and SVG. */
  drawing(): Drawing | null {
    const figure = this.#figure;
    if (figure === null || figure.series.every(({ values }) => values.length === 0)) return null;
    const visible = figure.series.filter(({ name }) => !this.#legend.hidden.has(name));
    const { theme } = this.#context;
    const width = Math.max(420, this.#plot.clientWidth);
    const scale = this.#chart.scales.y;
    const geometry: PlotGeometry = {
      width,
      height: Math.max(240, this.#plot.clientHeight),
      min: scale?.min ?? 0,
      max: scale?.max ?? 1,
      yTicks: scale?.ticks.map(({ value }) => value) ?? [],
      xTicks: this.#chart.scales.x?.ticks.map(({ value }) => value) ?? [],
    };
    return drawLineFigure({ ...figure, series: visible }, geometry, theme);
  }

  #style(series: LineSeries, figure: LineFigure): Partial<Dataset> {
    const { theme } = this.#context;
    const color = theme.series[series.slot % theme.series.length] ?? theme.foreground;
    const points = figure.layers <= POINTS_UP_TO && figure.stacked !== true;
    return {
      label: series.name,
      borderColor: color,
      backgroundColor: figure.stacked ? alpha(color, 0.55) : color,
      borderWidth: series.emphasised ? 3 : 1.5,
      borderDash: figure.stacked ? [] : [...(DASHES[series.slot % DASHES.length] ?? [])],
      pointStyle: SHAPES[series.slot % SHAPES.length] ?? "circle",
      pointRadius: points ? (series.emphasised ? 3.5 : 2.5) : 0,
      pointBackgroundColor: color,
      pointBorderWidth: 0,
      tension: 0,
      spanGaps: false,
    };
  }

  #configuration(): ChartConfiguration<"line", Point[]> {
    return {
      type: "line",
      data: { datasets: [] },
      options: {
        animation: false,
        responsive: false,
        maintainAspectRatio: false,
        parsing: false,
        normalized: true,
        events: [],
        layout: { padding: { top: 6, right: 10 } },
        scales: {
          x: {
            type: "linear",
            ticks: { precision: 0, maxRotation: 0, autoSkipPadding: 14, padding: 4 },
          },
          y: { type: "linear", beginAtZero: true, ticks: { maxTicksLimit: 6, padding: 6 } },
        },
      },
    };
  }

  /** Pixel of a 0-based layer, which may lie between two. */
  #x(layer: number): number {
    return this.#chart.scales.x?.getPixelForValue(layer + 1) ?? 0;
  }

  #layerAt(event: MouseEvent): number | null {
    const area = this.#chart.chartArea;
    if (this.#figure === null || area === undefined) return null;
    const value = this.#chart.scales.x?.getValueForPixel(event.offsetX) ?? 0;
    if (event.offsetX < area.left - 8 || event.offsetX > area.right + 8) return null;
    return Math.min(Math.max(Math.round(value) - 1, 0), this.#figure.layers - 1);
  }

  #listen(): void {
    const { store } = this.#context;
    const canvas = this.#canvas;
    canvas.addEventListener("pointermove", (event) => {
      const layer = this.#layerAt(event);
      store.setHover({ layer });
      this.#showTip(layer);
    });
    canvas.addEventListener("pointerleave", () => {
      store.setHover({ layer: null });
      this.#showTip(null);
    });
    canvas.addEventListener("click", (event) => {
      const layer = this.#layerAt(event);
      if (layer !== null) store.chooseLayer(layer);
    });
    canvas.addEventListener("focus", () => this.#showTip(store.chosenLayer, true));
    canvas.addEventListener("blur", () => this.#showTip(null));
    canvas.addEventListener("keydown", (event) => {
      const step = layerStep(event.key, store.chosenLayer, store.layerCount);
      if (event.key === "Escape") this.#showTip(null);
      if (step === null) return;
      event.preventDefault();
      store.chooseLayer(step);
      this.#showTip(step, true);
    });
  }

  #showTip(layer: number | null, onlyByKeyboard = false): void {
    const figure = this.#figure;
    const visible =
      layer !== null &&
      figure !== null &&
      (!onlyByKeyboard || this.#canvas.matches(":focus-visible")) &&
      figure.series.some(({ values }) => typeof values[layer] === "number");
    show(this.#tip, visible);
    if (!visible || figure === null || layer === null) return;
    const rows = figure.series
      .filter(({ name }) => !this.#legend.hidden.has(name))
      .flatMap((series) => {
        const value = series.values[layer];
        if (value === null || value === undefined) return [];
        return [
          el(
            "li",
            { class: series.emphasised ? "emphasised" : null },
            swatch(series),
            el("span", { class: "name" }, series.name),
            el("span", { class: "value" }, figure.format(value)),
          ),
        ];
      });
    fill(
      this.#tip,
      el("div", { class: "tip-title" }, `Layer ${layer + 1}`),
      el("ul", {}, ...rows),
      ...(figure.details?.(layer) ?? []).map((line) => el("div", { class: "detail" }, line)),
    );
    const x = this.#x(layer);
    const half = this.#plot.clientWidth / 2;
    this.#tip.style.left = x <= half ? `${x + 14}px` : "auto";
    this.#tip.style.right = x > half ? `${this.#plot.clientWidth - x + 14}px` : "auto";
  }
}
