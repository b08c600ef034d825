import type { DrawContext } from "./context.ts";
import { el, onWidth, setAttributes } from "./dom.ts";
import { layerStep } from "./layer-step.ts";
import { type Pen, penOn } from "./pen.ts";
import type { Drawing } from "./section.ts";
import type { DataTable } from "./table.ts";
import { heat, type Theme } from "./theme.ts";

/** Values by row and layer, shown as coloured cells. */
export interface MatrixFigure {
  readonly title: string;
  readonly rows: readonly string[];
  readonly layers: number;
  /** [rows, layers]; NaN where nothing is known. */
  readonly values: Float32Array;
  /** Value of the last colour; the first is 0, or -max where two directions are told apart. */
  readonly max: number;
  /** Differences around 0: what a value below and one above it mean; each has a colour of its own. */
  readonly diverging?: { readonly below: string; readonly above: string };
  readonly unit: string;
  format(value: number): string;
  /** Row that stands out. */
  readonly chosenRow?: number | null;
}

/** Share of -1 … 1 as a cell: faint around 0, one colour for each direction; nothing where unknown. */
function divergingCell(
  pen: Pen,
  theme: Theme,
  share: number,
  [x, y, width, height]: readonly [number, number, number, number],
): void {
  if (Number.isNaN(share)) return;
  pen.rect(x, y, width, height, theme.grid, 0.6);
  // Lower is the first series' colour, higher the second's: blue and orange, safe for colour-blind readers.
  const color = theme.series[share < 0 ? 0 : 1] ?? theme.foreground;
  pen.rect(x, y, width, height, color, Math.min(1, Math.abs(share)) ** 0.8);
}

const LABEL_SIZE = 11;
const AXIS = 18;
const SCALE = 26;
const DIVERGING_SCALE = 36;
const MAX_ROW = 18;
const MIN_ROW = 5;

/** The figure as a table: a row per layer, a column per matrix row. */
export function matrixTable(figure: MatrixFigure): DataTable {
  const rows: (number | null)[][] = [];
  for (let layer = 0; layer < figure.layers; layer += 1) {
    const values = figure.rows.map((_, row) => figure.values[row * figure.layers + layer] ?? 0);
    if (values.some((value) => !Number.isNaN(value))) {
      rows.push([layer + 1, ...values.map((value) => (Number.isNaN(value) ? null : value))]);
    }
  }
  return {
    caption: `${figure.title}, ${figure.unit}`,
    columns: [{ name: "Layer" }, ...figure.rows.map((name) => ({ name, format: figure.format }))],
    rows,
  };
}

/** Rows x layers on a canvas; a cell is chosen by click, or by arrow keys (rows up and down). */
export class MatrixChart {
  readonly element: HTMLElement;
  readonly #context: DrawContext;
  readonly #canvas = el("canvas", { tabindex: 0, role: "application" });
  readonly #onRow: (row: number) => void;
  #figure: MatrixFigure | null = null;
  #row = 0;
  #label = 60;

  /** `onRow` is told which row was chosen; the layer goes to the store. */
  constructor(context: DrawContext, onRow: (row: number) => void) {
    this.#context = context;
    this.#onRow = onRow;
    this.element = el("div", { class: "matrix" }, this.#canvas);
    onWidth(this.element, () => this.#draw());
    this.#listen();
  }

  render(figure: MatrixFigure): void {
    this.#figure = figure;
    this.#row = figure.chosenRow ?? Math.min(this.#row, Math.max(0, figure.rows.length - 1));
    this.#draw();
  }

  /** Draws the mark of the shown layer anew. */
  renderMarks(): void {
    this.#draw();
  }

  drawing(): Drawing | null {
    const figure = this.#figure;
    if (figure === null) return null;
    const { width, height } = this.#size(figure);
    return { width, height, draw: (pen) => this.#paint(pen, figure, width, false) };
  }

  #size(figure: MatrixFigure) {
    const width = Math.max(200, this.element.clientWidth);
    const row = this.#rowHeight(figure);
    const scale = figure.diverging === undefined ? SCALE : DIVERGING_SCALE;
    return { width, height: row * figure.rows.length + AXIS + scale };
  }

  #rowHeight(figure: MatrixFigure): number {
    return Math.max(MIN_ROW, Math.min(MAX_ROW, Math.floor(330 / Math.max(1, figure.rows.length))));
  }

  #draw(): void {
    const figure = this.#figure;
    const canvas = this.#canvas;
    if (figure === null || this.element.clientWidth === 0) return;
    const { width, height } = this.#size(figure);
    const pen = penOn(canvas, width, height, this.#context.theme.fontFamily);
    if (pen === null) return;
    const widest = Math.max(0, ...figure.rows.map((row) => pen.widthOf(row, LABEL_SIZE)));
    this.#label = Math.min(width * 0.45, widest + 10);
    this.#paint(pen, figure, width, true);
    this.#describe(figure);
  }

  #paint(pen: Pen, figure: MatrixFigure, width: number, marks: boolean): void {
    const { theme, store } = this.#context;
    const row = this.#rowHeight(figure);
    const cell = (width - this.#label) / Math.max(1, figure.layers);
    const gap = cell > 6 && row > 6 ? 1 : 0;
    const step = Math.max(1, Math.ceil(LABEL_SIZE / row));
    figure.rows.forEach((name, r) => {
      if (r % step === 0) {
        pen.text(name, this.#label - 6, r * row + row / 2, {
          fill: theme.muted,
          size: LABEL_SIZE,
          align: "right",
        });
      }
      for (let layer = 0; layer < figure.layers; layer += 1) {
        const value = figure.values[r * figure.layers + layer] ?? Number.NaN;
        const [x, y] = [this.#label + layer * cell, r * row];
        if (figure.diverging !== undefined) {
          divergingCell(pen, theme, value / (figure.max || 1), [x, y, cell - gap, row - gap]);
          continue;
        }
        const fill = Number.isNaN(value) ? theme.grid : heat(value / (figure.max || 1));
        pen.rect(x, y, cell - gap, row - gap, fill);
      }
    });
    const bottom = row * figure.rows.length;
    const every = Math.max(1, Math.ceil(26 / cell));
    for (let layer = 0; layer < figure.layers; layer += every) {
      pen.text(String(layer + 1), this.#label + (layer + 0.5) * cell, bottom + AXIS / 2 + 1, {
        fill: theme.muted,
        size: LABEL_SIZE,
        align: "center",
      });
    }
    this.#scale(pen, figure, bottom + AXIS);
    if (!marks) return;
    const x = this.#label + store.shownLayer * cell;
    pen.frame(x - 0.5, 0.5, cell, bottom - 1, theme.foreground, 1);
    if (figure.chosenRow !== null && figure.chosenRow !== undefined) {
      pen.frame(x - 1, figure.chosenRow * row - 1, cell + 1, row + 1, theme.accent, 2);
    }
  }

  #scale(pen: Pen, figure: MatrixFigure, top: number): void {
    const { theme } = this.#context;
    const style = { fill: theme.muted, size: LABEL_SIZE };
    if (figure.diverging !== undefined) {
      this.#divergingScale(pen, figure, figure.diverging, top);
      return;
    }
    pen.text("0", this.#label, top + 12, style);
    for (let i = 0; i < 60; i += 1)
      pen.rect(this.#label + 14 + i * 2, top + 7, 2, 10, heat(i / 59));
    pen.text(figure.format(figure.max), this.#label + 140, top + 12, style);
  }

  #divergingScale(
    pen: Pen,
    figure: MatrixFigure,
    { below, above }: { readonly below: string; readonly above: string },
    top: number,
  ): void {
    const { theme } = this.#context;
    const style = { fill: theme.muted, size: LABEL_SIZE };
    const width = 3;
    for (let i = -20; i <= 20; i += 1) {
      divergingCell(pen, theme, i / 20, [this.#label + (i + 20) * width, top + 4, width, 10]);
    }
    const right = this.#label + 41 * width;
    pen.text(figure.format(-figure.max), this.#label - 6, top + 9, { ...style, align: "right" });
    pen.text(figure.format(figure.max), right + 6, top + 9, style);
    pen.text(`${below} ◂ 0 ▸ ${above}`, this.#label, top + 25, style);
  }

  #describe(figure: MatrixFigure): void {
    const { shownLayer } = this.#context.store;
    const value = figure.values[this.#row * figure.layers + shownLayer] ?? Number.NaN;
    const text = Number.isNaN(value) ? "not known" : figure.format(value);
    setAttributes(this.#canvas, {
      "aria-label": `${figure.title}, ${figure.unit}. ${figure.rows[this.#row] ?? ""}, layer ${shownLayer + 1}: ${text}. Arrow keys move over layers and rows.`,
    });
  }

  #at(event: MouseEvent): { row: number; layer: number } | null {
    const figure = this.#figure;
    if (figure === null) return null;
    const cell = (this.element.clientWidth - this.#label) / Math.max(1, figure.layers);
    const layer = Math.floor((event.offsetX - this.#label) / cell);
    const row = Math.floor(event.offsetY / this.#rowHeight(figure));
    const inside = layer >= 0 && layer < figure.layers && row >= 0 && row < figure.rows.length;
    return inside ? { row, layer } : null;
  }

  #listen(): void {
    const { store } = this.#context;
    const canvas = this.#canvas;
    canvas.addEventListener("pointermove", (event) => {
      const at = this.#at(event);
      const figure = this.#figure;
      store.setHover({ layer: at?.layer ?? null });
      if (at === null || figure === null) {
        canvas.title = "";
        return;
      }
      const value = figure.values[at.row * figure.layers + at.layer] ?? Number.NaN;
      const text = Number.isNaN(value) ? "not known" : figure.format(value);
      canvas.title = `${figure.rows[at.row] ?? ""}, layer ${at.layer + 1}: ${text}`;
    });
    canvas.addEventListener("pointerleave", () => store.setHover({ layer: null }));
    canvas.addEventListener("click", (event) => {
      const at = this.#at(event);
      if (at !== null) this.#choose(at.row, at.layer);
    });
    canvas.addEventListener("keydown", (event) => {
      const rows = this.#figure?.rows.length ?? 0;
      if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        event.preventDefault();
        const row = this.#row + (event.key === "ArrowDown" ? 1 : -1);
        this.#choose(Math.min(Math.max(row, 0), rows - 1), store.chosenLayer);
        return;
      }
      const layer = layerStep(event.key, store.chosenLayer, store.layerCount);
      if (layer === null) return;
      event.preventDefault();
      this.#choose(this.#row, layer);
    });
  }

  #choose(row: number, layer: number): void {
    this.#row = row;
    this.#context.store.chooseLayer(layer);
    this.#onRow(row);
  }
}
