import { swatch } from "../chart-legend.ts";
import type { DrawContext } from "../context.ts";
import { el, fill, onWidth, setAttributes, show } from "../dom.ts";
import { layerStep } from "../layer-step.ts";
import { penOn } from "../pen.ts";
import type { Drawing } from "../section.ts";
import {
  cellAt,
  drawMultiples,
  drawRunLegend,
  layMultiples,
  type MultiplesLayout,
  runLegendHeight,
} from "./multiples-drawing.ts";
import { cellFacts, type MultiplesFigure } from "./multiples-figure.ts";

const TITLE = 26;

/**
 * Small charts over layers on one canvas, all on the same axes: a line for each run, the area between
 * two runs filled. Left and right move over the layers, up and down over the charts.
 */
export class Multiples {
  readonly element: HTMLElement;
  readonly #context: DrawContext;
  readonly #canvas = el("canvas", { tabindex: 0, role: "application" });
  readonly #tip = el("div", { class: "tip", role: "presentation", hidden: true });
  readonly #legend = el("ul", { class: "legend static" });
  readonly #box: HTMLElement;
  #figure: MultiplesFigure | null = null;
  #layout: MultiplesLayout | null = null;
  #cell = 0;

  constructor(context: DrawContext) {
    this.#context = context;
    this.#box = el("div", { class: "multiples" }, this.#canvas, this.#tip);
    this.element = el("div", { class: "chart" }, this.#legend, this.#box);
    onWidth(this.#box, () => this.#draw());
    this.#listen();
  }

  render(figure: MultiplesFigure): void {
    this.#figure = figure;
    this.#cell = Math.min(this.#cell, Math.max(0, figure.cells.length - 1));
    fill(
      this.#legend,
      ...figure.runs.map((name, slot) =>
        el("li", {}, swatch({ name, slot, values: [] }), el("span", { class: "name" }, name)),
      ),
    );
    this.#draw();
  }

  /** Draws the mark of the shown layer anew. */
  renderMarks(): void {
    this.#draw();
  }

  drawing(): Drawing | null {
    const figure = this.#figure;
    if (figure === null || figure.cells.length === 0) return null;
    const layout = layMultiples(figure, Math.max(560, this.#box.clientWidth));
    const legend = TITLE + layout.height + 10;
    const { theme } = this.#context;
    return {
      width: layout.width,
      height: legend + runLegendHeight(figure.runs.length),
      draw: (pen) => {
        pen.text(`${figure.title}: ${figure.yLabel}`, 8, 12, {
          fill: theme.foreground,
          size: 13,
          bold: true,
        });
        const below: MultiplesLayout = {
          ...layout,
          place: (cell) => ({ x: layout.place(cell).x, y: layout.place(cell).y + TITLE }),
          y: (cell, value) => layout.y(cell, value) + TITLE,
        };
        drawMultiples(pen, figure, below, theme, null);
        drawRunLegend(pen, figure.runs, legend, theme);
      },
    };
  }

  #draw(): void {
    const figure = this.#figure;
    const width = this.#box.clientWidth;
    if (figure === null || width === 0) return;
    const layout = layMultiples(figure, width);
    this.#layout = layout;
    const canvas = this.#canvas;
    const { theme, store } = this.#context;
    const pen = penOn(canvas, width, layout.height, theme.fontFamily);
    if (pen === null) return;
    const focused = canvas.matches(":focus-visible");
    drawMultiples(pen, figure, layout, theme, {
      layer: store.shownLayer,
      cell: focused ? this.#cell : null,
    });
    this.#describe(figure);
  }

  #describe(figure: MultiplesFigure): void {
    const { shownLayer } = this.#context.store;
    const cell = figure.cells[this.#cell];
    const said =
      cell === undefined
        ? []
        : cellFacts(figure, cell, shownLayer).map(({ name, text }) => `${name} ${text}`);
    setAttributes(this.#canvas, {
      "aria-label": `${figure.title}, ${figure.yLabel}, ${figure.cells.length} charts. ${cell?.name ?? ""}, layer ${shownLayer + 1}: ${said.join("; ") || "not measured"}. Arrow keys left and right move over the layers, up and down over the charts.`,
    });
  }

  #listen(): void {
    const { store } = this.#context;
    const canvas = this.#canvas;
    const at = (event: MouseEvent) =>
      this.#figure === null || this.#layout === null
        ? null
        : cellAt(this.#figure, this.#layout, event.offsetX, event.offsetY);
    canvas.addEventListener("pointermove", (event) => {
      const hit = at(event);
      if (hit !== null) this.#cell = hit.cell;
      store.setHover({ layer: hit?.layer ?? null });
      this.#showTip(hit);
    });
    canvas.addEventListener("pointerleave", () => {
      store.setHover({ layer: null });
      this.#showTip(null);
    });
    canvas.addEventListener("click", (event) => {
      const hit = at(event);
      if (hit !== null) store.chooseLayer(hit.layer);
    });
    canvas.addEventListener("blur", () => {
      this.#showTip(null);
      this.#draw();
    });
    canvas.addEventListener("focus", () => this.#draw());
    canvas.addEventListener("keydown", (event) => {
      const count = this.#figure?.cells.length ?? 0;
      if (event.key === "Escape") this.#showTip(null);
      const up = event.key === "ArrowUp";
      if ((up || event.key === "ArrowDown") && count > 0) {
        event.preventDefault();
        this.#cell = (this.#cell + (up ? count - 1 : 1)) % count;
        this.#draw();
        this.#showTip({ cell: this.#cell, layer: store.chosenLayer });
        return;
      }
      const layer = layerStep(event.key, store.chosenLayer, store.layerCount);
      if (layer === null) return;
      event.preventDefault();
      store.chooseLayer(layer);
      this.#showTip({ cell: this.#cell, layer });
    });
  }

  #showTip(hit: { readonly cell: number; readonly layer: number } | null): void {
    const figure = this.#figure;
    const layout = this.#layout;
    const cell = hit === null ? undefined : figure?.cells[hit.cell];
    if (hit === null || figure === null || layout === null || cell === undefined) {
      show(this.#tip, false);
      return;
    }
    const facts = cellFacts(figure, cell, hit.layer);
    show(this.#tip, facts.length > 0);
    fill(
      this.#tip,
      el("div", { class: "tip-title" }, `${cell.name}, layer ${hit.layer + 1}`),
      el(
        "ul",
        {},
        ...facts.map(({ run, name, text, difference }) =>
          el(
            "li",
            { class: difference ? "emphasised" : null },
            difference ? null : swatch({ name, slot: run, values: [] }),
            el("span", { class: "name" }, name),
            el("span", { class: "value" }, text),
          ),
        ),
      ),
      ...figure.details(hit.layer).map((line) => el("div", { class: "detail" }, line)),
    );
    const x = layout.x(hit.cell, hit.layer);
    const isLeft = x <= layout.width / 2;
    this.#tip.style.left = isLeft ? `${x + 14}px` : "auto";
    this.#tip.style.right = isLeft ? "auto" : `${layout.width - x + 14}px`;
    this.#tip.style.top = `${layout.place(hit.cell).y}px`;
  }
}
