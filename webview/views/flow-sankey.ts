import type { DrawContext } from "../context.ts";
import { change, el, fill, onWidth, setAttributes, setText, show, visibleToken } from "../dom.ts";
import { type Flow, type FlowFamily, LANES, MIN_LOSS_PERCENT } from "../flow-stages.ts";
import { type Pen, penOn } from "../pen.ts";
import { FULL_WIDTH, laySankey, type SankeyLayout, type SankeyLink } from "../sankey-layout.ts";
import type { Drawing } from "../section.ts";

const HEAD = 2;
const FOOT = 4;
/** Of more families than these only the stages carry their numbers: the table and the pointer have all. */
const ALL_LABELLED = 5;
const MEANING =
  "A ribbon is a family of attention edges, as wide as cutting it alone costs at most: the largest loss of the answer's probability over its layers. The bar is a loss of 100 %. Losses do not add up.";

/**
 * The detected stages as a Sankey diagram: token groups, and between them every edge family that the
 * sweep has cut. A ribbon's width is the largest loss of the clean answer's probability, in percent of
 * it, over the family's window centres; that largest loss lies in the detected layers by their
 * definition. What the sweep did not cut is not drawn, and named.
 */
export class FlowSankey {
  readonly element: HTMLElement;
  readonly #context: DrawContext;
  readonly #canvas = el("canvas", { tabindex: 0, role: "application" });
  readonly #tip = el("div", { class: "tip", role: "presentation", hidden: true });
  readonly #box: HTMLElement;
  readonly #unmeasured = el("p", { class: "note" });
  #flow: Flow | null = null;
  #layout: SankeyLayout | null = null;
  #chosen = -1;

  constructor(context: DrawContext) {
    this.#context = context;
    this.#box = el("div", { class: "sankey" }, this.#canvas, this.#tip);
    this.element = el(
      "div",
      { class: "stack" },
      el("h3", {}, "From group to group"),
      this.#box,
      el("p", { class: "note" }, MEANING),
      this.#unmeasured,
    );
    onWidth(this.#box, () => this.#draw());
    this.#listen();
  }

  render(flow: Flow | null): void {
    this.#flow = flow;
    const families = flow?.families ?? [];
    this.#chosen = Math.min(this.#chosen, families.length - 1);
    show(this.element, families.length > 0);
    const unmeasured = flow?.unmeasured ?? [];
    setText(
      this.#unmeasured,
      unmeasured.length === 0
        ? ""
        : `Not measured, so not drawn: ${unmeasured.join(", ")}. “Flowprobe: Knockout Sweep” measures it.`,
    );
    show(this.#unmeasured, unmeasured.length > 0);
    this.#draw();
  }

  /** The diagram for PNG and SVG; null while nothing is measured. */
  drawing(): Drawing | null {
    const flow = this.#flow;
    if (flow === null || flow.families.length === 0) return null;
    const layout = laySankey(flow.families, LANES, Math.max(480, this.#box.clientWidth));
    return {
      width: layout.width,
      height: HEAD + layout.height + FOOT,
      draw: (pen) => this.#paint(pen, layout, -1),
    };
  }

  #draw(): void {
    const width = this.#box.clientWidth;
    const families = this.#flow?.families ?? [];
    if (width === 0 || families.length === 0) return;
    const layout = laySankey(families, LANES, width);
    this.#layout = layout;
    const canvas = this.#canvas;
    const height = HEAD + layout.height + FOOT;
    const pen = penOn(canvas, width, height, this.#context.theme.fontFamily);
    if (pen === null) return;
    this.#paint(pen, layout, this.#chosen);
    const chosen = families[Math.max(0, this.#chosen)];
    setAttributes(canvas, {
      "aria-label": `Flow between token groups, ${families.length} families of edges. ${chosen === undefined ? "" : familySentence(chosen)} Arrow keys up and down move over the families.`,
    });
  }

  #paint(pen: Pen, layout: SankeyLayout, chosen: number): void {
    const { theme } = this.#context;
    const colorOf = ({ slot }: FlowFamily) =>
      theme.series[slot % theme.series.length] ?? theme.foreground;
    // Thick ribbons first, so that thin ones stay visible on them.
    const links = [...layout.links].sort((a, b) => b.size - a.size);
    for (const { family, x0, x1, y0, y1, size } of links) {
      pen.band(x0, HEAD + y0, size, x1, HEAD + y1, size, colorOf(family));
    }
    const marked = layout.links[chosen];
    if (marked !== undefined) this.#outline(pen, marked);
    layout.nodes.forEach(({ lane, label, x, y, width, height }, index) => {
      pen.rect(x, HEAD + y, width, height, theme.foreground, 0.75);
      const last = index === layout.nodes.length - 1;
      const align = index === 0 ? "left" : last ? "right" : "center";
      const at = index === 0 ? 4 : last ? layout.width - 4 : x + width / 2;
      // Ribbons to and from the question run above its neighbours: their names stand below.
      const below = index > 0 && !last && lane !== "Question";
      pen.text(label, at, HEAD + (below ? y + height + 10 : y - 9), {
        fill: theme.foreground,
        size: 12,
        bold: true,
        align,
        halo: theme.background,
      });
    });
    for (const link of layout.links) {
      if (link.family.stage !== null || layout.links.length <= ALL_LABELLED) this.#label(pen, link);
    }
    pen.rect(6, HEAD + layout.height - FULL_WIDTH, 4, FULL_WIDTH, theme.muted);
    pen.text("100 %", 14, HEAD + layout.height - 6, { fill: theme.muted, size: 11 });
  }

  #outline(pen: Pen, { x0, x1, y0, y1, size }: SankeyLink): void {
    const { theme } = this.#context;
    for (const [from, to] of [
      [y0, y1],
      [y0 + size, y1 + size],
    ] as const) {
      const points = Array.from({ length: 25 }, (_, i) => {
        const share = i / 24;
        return [x0 + (x1 - x0) * share, HEAD + from + (to - from) * eased(share)];
      });
      pen.line(points.flat(), theme.foreground, 1);
    }
  }

  #label(pen: Pen, { family, x0, x1, y0, y1, size }: SankeyLink): void {
    const { theme } = this.#context;
    const [x, y] = [(x0 + x1) / 2, HEAD + (y0 + y1 + size) / 2];
    if (family.stage === null) {
      // Below the threshold: the number alone, small, above its trace.
      pen.text(change(-family.loss), x, y - 8, {
        fill: theme.muted,
        size: 10,
        align: "center",
        halo: theme.background,
      });
      return;
    }
    const common = { align: "center", halo: theme.background } as const;
    pen.text(change(-family.loss), x, y - 7, {
      ...common,
      fill: theme.foreground,
      size: 12,
      bold: true,
    });
    pen.text(layersOf(family), x, y + 8, { ...common, fill: theme.foreground, size: 11 });
  }

  #at(event: MouseEvent): number {
    const links = this.#layout?.links ?? [];
    // Of ribbons that lie over one another the thinnest is meant.
    let found = -1;
    links.forEach(({ x0, x1, y0, y1, size }, index) => {
      if (event.offsetX < x0 || event.offsetX > x1) return;
      const share = (event.offsetX - x0) / Math.max(1, x1 - x0);
      const top = HEAD + y0 + (y1 - y0) * eased(share);
      if (event.offsetY < top - 3 || event.offsetY > top + size + 3) return;
      if (found < 0 || size < (links[found]?.size ?? 0)) found = index;
    });
    return found;
  }

  #choose(index: number, tip: boolean): void {
    this.#chosen = index;
    this.#draw();
    const link = this.#layout?.links[index];
    show(this.#tip, tip && link !== undefined);
    if (link === undefined || this.#layout === null) return;
    const { family } = link;
    fill(
      this.#tip,
      el("div", { class: "tip-title" }, family.name),
      el("div", {}, `${family.from} → ${family.to}, ${layersOf(family)}`),
      el("div", {}, `largest loss ${change(-family.loss)} at layer ${family.peak + 1}`),
      el("div", { class: "detail" }, `answer there: ${visibleToken(family.newAnswer)}`),
    );
    const x = (link.x0 + link.x1) / 2;
    const isLeft = x <= this.#layout.width / 2;
    this.#tip.style.left = isLeft ? `${x}px` : "auto";
    this.#tip.style.right = isLeft ? "auto" : `${this.#layout.width - x}px`;
  }

  #listen(): void {
    const { store } = this.#context;
    const canvas = this.#canvas;
    canvas.addEventListener("pointermove", (event) => {
      const hit = this.#at(event);
      if (hit !== this.#chosen) this.#choose(hit, true);
    });
    canvas.addEventListener("pointerleave", () => this.#choose(-1, false));
    canvas.addEventListener("click", (event) => {
      const family = this.#flow?.families[this.#at(event)];
      if (family !== undefined) store.chooseLayer(family.peak);
    });
    canvas.addEventListener("blur", () => this.#choose(-1, false));
    canvas.addEventListener("keydown", (event) => {
      const count = this.#flow?.families.length ?? 0;
      if (event.key === "Escape") this.#choose(this.#chosen, false);
      const up = event.key === "ArrowUp";
      if ((!up && event.key !== "ArrowDown") || count === 0) return;
      event.preventDefault();
      const next = up
        ? this.#chosen <= 0
          ? count - 1
          : this.#chosen - 1
        : (this.#chosen + 1) % count;
      this.#choose(next, true);
      const family = this.#flow?.families[next];
      if (family !== undefined) store.chooseLayer(family.peak);
    });
  }
}

/** Height of a ribbon's middle line between its ends, close to the curve that is drawn. */
const eased = (share: number) => share * share * (3 - 2 * share);

function layersOf({ stage }: FlowFamily): string {
  if (stage === null) return `less than ${MIN_LOSS_PERCENT} % at every layer`;
  return stage.first === stage.last
    ? `layer ${stage.first + 1}`
    : `layers ${stage.first + 1}-${stage.last + 1}`;
}

function familySentence(family: FlowFamily): string {
  return `${family.name}, ${layersOf(family)}: largest loss ${change(-family.loss)} at layer ${family.peak + 1}.`;
}
