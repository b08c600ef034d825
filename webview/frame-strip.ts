import { cellIndex, tokenAfter, tokenOfCell } from "../src/protocol/grid.ts";
import { coveredFrames } from "../src/runs/token-frames.ts";
import type { Context } from "./context.ts";
import { el, onWidth, setAttributes } from "./dom.ts";
import { type Pen, penOn } from "./pen.ts";
import type { Drawing } from "./section.ts";

/** What lies over the frames: a colour for each video token, and optionally a word. */
export interface Overlay {
  /** Fill of video token v, or null for none. */
  color(token: number): string | null;
  /** Opacity of the fill, 0 … 1. */
  alpha(token: number): number;
  /** Word written into token v's cell where the cells are large enough. */
  word?(token: number): string | null;
}

interface Layout {
  readonly width: number;
  readonly height: number;
  readonly perRow: number;
  readonly frameWidth: number;
  readonly frameHeight: number;
}

const GAP = 8;
const CAPTION = 18;
/** A word is written only where it can be read. */
const MIN_CELL_FOR_WORDS = 30;
/** How far cells that the model left out fade into the page. */
const LEFT_OUT = 0.7;
const LEFT_OUT_TITLE = "No token: the model left out what the frame before showed";

/**
 * The sampled frames with the token grid over them, drawn on two canvases: the pictures, redrawn
 * when the size changes, and the overlay, redrawn when what it shows does. One focus stop; arrow
 * keys move over the tokens, and a click or Enter chooses one.
 */
export class FrameStrip {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #pictures = el("canvas", { "aria-hidden": "true" });
  readonly #cells = el("canvas", { tabindex: 0, role: "application" });
  readonly #label: string;
  readonly #minimum: number;
  readonly #describe: (token: number) => string;
  #overlay: Overlay | null = null;
  #layout: Layout | null = null;
  #cursor = 0;
  /** The token under the pointer in this strip alone. */
  #pointed = -1;

  /**
   * `describe` gives the words for a video token (screen readers, tooltips); `minimum` is the
   * smallest width of a frame in CSS pixels.
   */
  constructor(context: Context, label: string, describe: (token: number) => string, minimum = 104) {
    this.#context = context;
    this.#label = label;
    this.#describe = describe;
    this.#minimum = minimum;
    this.element = el("div", { class: "frames" }, this.#pictures, this.#cells);
    onWidth(this.element, () => this.renderAll());
    this.#listen();
  }

  setOverlay(overlay: Overlay | null): void {
    this.#overlay = overlay;
  }

  /** Lays out and draws pictures and overlay. */
  renderAll(): void {
    this.#layout = this.#measure(this.element.clientWidth);
    const layout = this.#layout;
    if (layout === null) return;
    this.element.style.height = `${layout.height}px`;
    const pen = this.#pen(this.#pictures, layout);
    if (pen !== null) this.#drawPictures(pen, layout);
    this.renderOverlay();
  }

  /** Draws the overlay alone: what a slider or the pointer changes. */
  renderOverlay(): void {
    const layout = this.#layout;
    if (layout === null) return;
    const pen = this.#pen(this.#cells, layout);
    if (pen !== null) this.#drawCells(pen, layout, true);
    this.#announce();
  }

  drawing(): Drawing | null {
    const layout = this.#layout;
    if (layout === null) return null;
    return {
      width: layout.width,
      height: layout.height,
      draw: (pen) => {
        this.#drawPictures(pen, layout);
        this.#drawCells(pen, layout, false);
      },
    };
  }

  #measure(width: number): Layout | null {
    const { run, map } = this.#context.store;
    if (run === null || map === null || width < 40) return null;
    const count = Math.max(1, run.video.frames.length);
    const fit = Math.max(1, Math.floor((width + GAP) / (this.#minimum + GAP)));
    // Rows of equal length look calmer than a full row and a remainder.
    const perRow = Math.ceil(count / Math.ceil(count / Math.min(fit, count)));
    const frameWidth = Math.min(240, Math.floor((width - GAP * (perRow - 1)) / perRow));
    const frameHeight = Math.round(
      frameWidth * ((run.video.height || 1) / Math.max(1, run.video.width)),
    );
    const rows = Math.ceil(count / perRow);
    return {
      width,
      height: rows * (frameHeight + CAPTION) + (rows - 1) * GAP,
      perRow,
      frameWidth,
      frameHeight,
    };
  }

  #pen(canvas: HTMLCanvasElement, { width, height }: Layout): Pen | null {
    return penOn(canvas, width, height, this.#context.theme.fontFamily);
  }

  #frameAt(frame: number, layout: Layout): { x: number; y: number } {
    const row = Math.floor(frame / layout.perRow);
    return {
      x: (frame % layout.perRow) * (layout.frameWidth + GAP),
      y: row * (layout.frameHeight + CAPTION + GAP),
    };
  }

  #drawPictures(pen: Pen, layout: Layout): void {
    const { store, images, theme } = this.#context;
    store.run?.video.frames.forEach((frame, index) => {
      const { x, y } = this.#frameAt(index, layout);
      const picture = images.at(index);
      if (picture === null) pen.rect(x, y, layout.frameWidth, layout.frameHeight, theme.grid);
      else pen.picture(picture, x, y, layout.frameWidth, layout.frameHeight);
      pen.frame(x + 0.5, y + 0.5, layout.frameWidth - 1, layout.frameHeight - 1, theme.border);
      const number = this.#gridNote(index) ?? `${index + 1}`;
      const caption =
        layout.frameWidth < 90 || frame.timestampSeconds === null
          ? number
          : `${number} · ${frame.timestampSeconds.toFixed(2)} s`;
      pen.text(caption, x, y + layout.frameHeight + CAPTION / 2 + 1, {
        fill: theme.muted,
        size: 11,
      });
    });
  }

  /** Of a frame on which the tokens of several frames are drawn: which ones, as "5-6". */
  #gridNote(index: number): string | undefined {
    const { run, map } = this.#context.store;
    const gridFrames = map?.grid.frames ?? 0;
    const frames = run?.video.frames.length ?? 0;
    if (gridFrames === 0 || frames <= gridFrames) return undefined;
    const gridFrame = Math.floor(((index + 1) * gridFrames - 1) / frames);
    if (Math.floor((gridFrame * frames) / gridFrames) !== index) return undefined;
    return coveredFrames(gridFrame, gridFrames, frames).replace(/^Frames? /, "");
  }

  /** Top left corner and size of a video token's cell; the grid covers the crop alone. */
  #cell(token: number, layout: Layout): { x: number; y: number; width: number; height: number } {
    const grid = this.#context.store.map?.grid;
    return this.#place(grid === undefined ? token : cellIndex(grid, token), layout);
  }

  /** The same of a cell of the grid. */
  #place(cell: number, layout: Layout): { x: number; y: number; width: number; height: number } {
    const { run, map } = this.#context.store;
    const grid = map?.grid ?? { frames: 0, rows: 1, columns: 1 };
    const perFrame = Math.max(1, grid.rows * grid.columns);
    const frames = run?.video.frames.length ?? grid.frames;
    // A family may pool several sampled frames into one grid frame: shown on the first of them.
    const gridFrame = Math.floor(cell / perFrame);
    const frame = grid.frames === 0 ? 0 : Math.floor((gridFrame * frames) / grid.frames);
    const { x, y } = this.#frameAt(frame, layout);
    const scaleX = layout.frameWidth / Math.max(1, run?.video.width ?? 1);
    const scaleY = layout.frameHeight / Math.max(1, run?.video.height ?? 1);
    const crop = run?.video.crop ?? { x: 0, y: 0, width: 1, height: 1 };
    const width = (crop.width * scaleX) / grid.columns;
    const height = (crop.height * scaleY) / grid.rows;
    const inFrame = cell % perFrame;
    return {
      x: x + crop.x * scaleX + (inFrame % grid.columns) * width,
      y: y + crop.y * scaleY + Math.floor(inFrame / grid.columns) * height,
      width,
      height,
    };
  }

  #drawCells(pen: Pen, layout: Layout, marks: boolean): void {
    const { store, theme } = this.#context;
    const { map, run } = store;
    if (map === null || run === null || map.grid.frames === 0) return;
    const tokens = map.videoPositions.length;
    const overlay = this.#overlay;
    const first = this.#place(0, layout);
    const gridColor = theme.dark ? "rgba(255,255,255,0.28)" : "rgba(0,0,0,0.28)";
    const words = overlay?.word !== undefined && first.width >= MIN_CELL_FOR_WORDS;
    const size = Math.max(7, Math.min(11, first.width / 4.2));
    const room = Math.max(2, Math.floor(first.width / (size * 0.52)));
    for (let token = 0; token < tokens; token += 1) {
      const { x, y, width, height } = this.#cell(token, layout);
      const color = overlay?.color(token) ?? null;
      if (color !== null) pen.rect(x, y, width, height, color, overlay?.alpha(token) ?? 1);
      if (words) {
        const word = overlay?.word?.(token) ?? null;
        if (word !== null) {
          const text = word.length > room ? `${word.slice(0, room - 1)}…` : word;
          pen.text(text, x + width / 2, y + height / 2, {
            fill: "#ffffff",
            size,
            align: "center",
            halo: "rgba(0,0,0,0.75)",
          });
        }
      }
    }
    this.#drawLeftOut(pen, layout);
    const cells = map.grid.rows * map.grid.columns;
    for (let frame = 0; frame < map.grid.frames; frame += 1) {
      const { x, y, width, height } = this.#place(frame * cells, layout);
      const right = x + width * map.grid.columns;
      const bottom = y + height * map.grid.rows;
      if (width >= 5) {
        for (let column = 1; column < map.grid.columns; column += 1) {
          pen.line([x + column * width, y, x + column * width, bottom], gridColor, 0.5);
        }
        for (let row = 1; row < map.grid.rows; row += 1) {
          pen.line([x, y + row * height, right, y + row * height], gridColor, 0.5);
        }
      }
      // The crop the model sees, where it is not the whole frame.
      pen.frame(x + 0.5, y + 0.5, right - x - 1, bottom - y - 1, gridColor);
    }
    if (!marks) return;
    const chosen = store.token === null ? -1 : (map.videoIndex[store.token] ?? -1);
    if (this.#pointed >= 0) this.#outline(pen, this.#pointed, layout, 1.5);
    if (chosen >= 0) this.#outline(pen, chosen, layout, 2.5);
    if (this.#cells.matches(":focus-visible") && this.#cursor !== chosen) {
      this.#outline(pen, this.#cursor, layout, 1.5);
    }
  }

  /** Fades the cells without a token, so that none of them is taken for a token of no weight. */
  #drawLeftOut(pen: Pen, layout: Layout): void {
    const { store, theme } = this.#context;
    const {
      cells: kept,
      frames,
      rows,
      columns,
    } = store.map?.grid ?? { frames: 0, rows: 0, columns: 0 };
    if (kept === undefined) return;
    const has = new Set(kept);
    for (let cell = 0; cell < frames * rows * columns; cell += 1) {
      if (has.has(cell)) continue;
      const { x, y, width, height } = this.#place(cell, layout);
      pen.rect(x, y, width, height, theme.background, LEFT_OUT);
    }
  }

  #outline(pen: Pen, token: number, layout: Layout, line: number): void {
    const { x, y, width, height } = this.#cell(token, layout);
    pen.frame(x - 1, y - 1, width + 2, height + 2, "#000000", line + 2);
    pen.frame(x - 1, y - 1, width + 2, height + 2, this.#context.theme.accent, line);
  }

  /** The cell of the grid under the pointer, or -1. */
  #cellAt(event: MouseEvent): number {
    const layout = this.#layout;
    const { map } = this.#context.store;
    if (layout === null || map === null) return -1;
    const cells = map.grid.rows * map.grid.columns;
    for (let frame = 0; frame < map.grid.frames; frame += 1) {
      const { x, y, width, height } = this.#place(frame * cells, layout);
      const column = Math.floor((event.offsetX - x) / width);
      const row = Math.floor((event.offsetY - y) / height);
      if (column < 0 || row < 0 || column >= map.grid.columns || row >= map.grid.rows) continue;
      return frame * cells + row * map.grid.columns + column;
    }
    return -1;
  }

  #tokenOf(cell: number): number {
    const grid = this.#context.store.map?.grid;
    return cell < 0 || grid === undefined ? -1 : tokenOfCell(grid, cell);
  }

  #listen(): void {
    const { store } = this.#context;
    const canvas = this.#cells;
    const position = (token: number) => store.map?.videoPositions[token] ?? null;
    canvas.addEventListener("pointermove", (event) => {
      const cell = this.#cellAt(event);
      const token = this.#tokenOf(cell);
      if (token < 0) canvas.title = cell < 0 ? "" : LEFT_OUT_TITLE;
      if (token === this.#pointed) return;
      this.#pointed = token;
      if (token >= 0) canvas.title = this.#describe(token);
      store.setHover({ token: token < 0 ? null : position(token) });
      this.renderOverlay();
    });
    canvas.addEventListener("pointerleave", () => {
      this.#pointed = -1;
      store.setHover({ token: null });
      this.renderOverlay();
    });
    canvas.addEventListener("click", (event) => {
      const token = this.#tokenOf(this.#cellAt(event));
      if (token < 0) return;
      this.#cursor = token;
      store.chooseToken(position(token));
    });
    canvas.addEventListener("focus", () => {
      if (store.token !== null) this.#cursor = Math.max(0, store.map?.videoIndex[store.token] ?? 0);
      this.renderOverlay();
    });
    canvas.addEventListener("blur", () => this.renderOverlay());
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event: KeyboardEvent): void {
    const { store } = this.#context;
    const grid = store.map?.grid;
    if (grid === undefined || grid.frames === 0) return;
    const cells = grid.rows * grid.columns;
    const from = cellIndex(grid, this.#cursor);
    const moves: Readonly<Record<string, number>> = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: grid.columns,
      ArrowUp: -grid.columns,
      PageDown: cells,
      PageUp: -cells,
      Home: -from,
      End: grid.frames * cells - 1 - from,
    };
    if (event.key === "Escape") {
      store.chooseToken(null);
      return;
    }
    const move = Object.hasOwn(moves, event.key) ? moves[event.key] : undefined;
    if (move === undefined && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    // Where a cell has no token, the step goes on; from the ends, back into the grid.
    const strides: Readonly<Record<string, number>> = { Home: 1, End: -1 };
    const found = tokenAfter(grid, from, move ?? 0, strides[event.key] ?? move ?? 0);
    if (found >= 0) this.#cursor = found;
    store.chooseToken(store.map?.videoPositions[this.#cursor] ?? null);
  }

  #announce(): void {
    const { store } = this.#context;
    const chosen = store.token === null ? -1 : (store.map?.videoIndex[store.token] ?? -1);
    const what = chosen < 0 ? "No video token chosen" : this.#describe(chosen);
    setAttributes(this.#cells, {
      "aria-label": `${this.#label}. ${what}. Arrow keys move over the tokens.`,
    });
  }
}
