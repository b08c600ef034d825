import type { DrawContext } from "./context.ts";
import { button } from "./controls.ts";
import { el, fill, setText, show, uniqueId } from "./dom.ts";
import { CanvasPen, type Pen, SvgPen } from "./pen.ts";
import type { Topic } from "./selection.ts";
import { csv, type DataTable, tableElement } from "./table.ts";

/** Whether a view shows what an answer depends on, or only what goes along with it. */
export type Evidence = "cause" | "correlation";

const EVIDENCE = {
  cause: {
    text: "cause · knockout",
    hint: "Figures of runs in which attention edges were cut: what the answer depends on.",
  },
  correlation: {
    text: "correlation",
    hint: "Read from the unchanged run: shows what is there, not what the answer depends on.",
  },
} as const;

/** A drawing that can be exported: its size and how to draw it. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  draw(pen: Pen): void;
}

/** What a view offers for the table twin and the exports; null while there is nothing. */
export interface Exports {
  table(): DataTable | null;
  drawing(): Drawing | null;
}

/** Pixels per CSS pixel in exported PNG files: sharp in print. */
const PNG_SCALE = 2;

/**
 * The frame every view stands in: heading that folds, evidence tag, tools (table, PNG, SVG, CSV),
 * body, recipe line.
 */
export class Section {
  readonly element: HTMLElement;
  /** Controls of the view, above its picture. */
  readonly controls = el("div", { class: "controls" });
  readonly body = el("div", { class: "body" });
  readonly #table = el("div", { class: "table-twin", hidden: true });
  readonly #recipe = el("p", { class: "recipe" });
  readonly #content: HTMLElement;
  readonly #heading: HTMLButtonElement;
  readonly #context: DrawContext;
  readonly #id: string;
  readonly #title: string;
  readonly #exports: Exports | null;
  readonly #tableButton: HTMLElement | null;

  constructor(
    context: DrawContext,
    id: string,
    title: string,
    options: { evidence?: Evidence; note?: string; exports?: Exports } = {},
  ) {
    this.#context = context;
    this.#id = id;
    this.#title = title;
    this.#exports = options.exports ?? null;
    const headingId = uniqueId(id);
    this.#content = el("div", { class: "content" });
    this.#heading = el(
      "button",
      { type: "button", class: "fold", id: headingId, "aria-expanded": "true" },
      el("span", { class: "chevron", "aria-hidden": "true" }),
      title,
    );
    this.#heading.addEventListener("click", () => context.store.choose(`fold:${id}`, this.isOpen));
    const tools = el("div", { class: "tools" });
    this.#tableButton = this.#exports === null ? null : this.#addTools(tools);
    const evidence = options.evidence === undefined ? null : EVIDENCE[options.evidence];
    this.element = el(
      "section",
      { id: `view-${id}`, class: "view", "aria-labelledby": headingId },
      el(
        "header",
        {},
        el("h2", {}, this.#heading),
        evidence === null
          ? null
          : el(
              "span",
              { class: `evidence ${options.evidence}`, title: evidence.hint },
              evidence.text,
            ),
        tools,
      ),
      this.#content,
    );
    fill(
      this.#content,
      this.controls,
      options.note === undefined ? null : el("p", { class: "note" }, options.note),
      this.body,
      this.#table,
      this.#recipe,
    );
    show(this.#recipe, false);
  }

  get isOpen(): boolean {
    return !this.#context.store.choice(`fold:${this.#id}`, false);
  }

  get tableShown(): boolean {
    return this.#context.store.choice(`table:${this.#id}`, false);
  }

  /** Says exactly what the picture shows: method, layers, heads, normalisation, model, prompt. */
  setRecipe(parts: readonly string[]): void {
    show(this.#recipe, parts.length > 0);
    setText(this.#recipe, parts.join(" · "));
  }

  /** Brings the folding and the table twin up to date; every view calls it when it has drawn. */
  refresh(): void {
    const open = this.isOpen;
    this.#heading.setAttribute("aria-expanded", String(open));
    show(this.#content, open);
    this.element.classList.toggle("folded", !open);
    const table = open && this.tableShown ? (this.#exports?.table() ?? null) : null;
    this.#tableButton?.setAttribute("aria-pressed", String(this.tableShown));
    show(this.#table, table !== null);
    this.body.classList.toggle("beside-table", table !== null);
    if (table === null) fill(this.#table);
    else {
      // Keeps the reader's place while rows are added.
      const old = this.#table.firstElementChild;
      const top = old?.scrollTop ?? 0;
      const element = tableElement(table);
      fill(this.#table, element);
      element.scrollTop = top;
    }
  }

  #addTools(tools: HTMLElement): HTMLElement {
    const { store } = this.#context;
    const key = `table:${this.#id}`;
    const tableButton = button("Table", () => store.choose(key, !store.choice(key, false)), {
      look: "icon",
      label: `${this.#title}: show as table`,
    });
    tools.append(tableButton);
    for (const format of ["png", "svg", "csv"] as const) {
      const label = `${this.#title}: save as ${format.toUpperCase()}`;
      tools.append(
        button(format.toUpperCase(), () => void this.#save(format), { look: "icon", label }),
      );
    }
    return tableButton;
  }

  async #save(format: "png" | "svg" | "csv"): Promise<void> {
    try {
      const data = await this.#export(format);
      if (data === null) {
        this.#context.say(`${this.#title}: there is nothing to save yet.`);
        return;
      }
      const stem = this.#context.identity?.title ?? "run";
      const name = `${stem}-${this.#id}.${format}`;
      const { saved } = await this.#context.request("save", { format, name, data });
      if (saved !== null) this.#context.say(`Saved ${saved}`);
    } catch (error) {
      this.#context.say(`${this.#title}: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #export(format: "png" | "svg" | "csv"): Promise<string | ArrayBuffer | null> {
    if (format === "csv") {
      const table = this.#exports?.table() ?? null;
      return table === null ? null : csv(table);
    }
    const drawing = this.#exports?.drawing() ?? null;
    if (drawing === null) return null;
    const { theme } = this.#context;
    if (format === "svg") {
      const pen = new SvgPen(theme.fontFamily);
      drawing.draw(pen);
      return pen.finish(drawing.width, drawing.height, theme.background, this.#title);
    }
    return await pngOf(drawing, theme.background, theme.fontFamily);
  }
}

async function pngOf(drawing: Drawing, background: string, family: string): Promise<ArrayBuffer> {
  const canvas = el("canvas", {
    width: Math.ceil(drawing.width * PNG_SCALE),
    height: Math.ceil(drawing.height * PNG_SCALE),
  });
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this window has no canvas to draw on");
  context.scale(PNG_SCALE, PNG_SCALE);
  const pen = new CanvasPen(context, family);
  pen.rect(0, 0, drawing.width, drawing.height, background);
  drawing.draw(pen);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob === null) throw new Error("the picture is too large to save as PNG");
  return await blob.arrayBuffer();
}

/** One view of a panel. */
export interface View {
  readonly id: string;
  readonly section: Section;
  /** Whether there is, or could be asked for, anything to show. */
  available(): boolean;
  /** Draws what changed; called at most once a frame, and only while the view is on screen. */
  render(changed: ReadonlySet<Topic>): void;
}
