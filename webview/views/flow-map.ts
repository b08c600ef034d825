import { recipePhrases } from "../../src/protocol/experiments/list.ts";
import type { Context } from "../context.ts";
import { radios } from "../controls.ts";
import { change, el, fill, onWidth, setAttributes, setText, show, visibleToken } from "../dom.ts";
import {
  type FlowFamily,
  type FlowStage,
  flowOf,
  LANES,
  MIN_LOSS_PERCENT,
  STAGE_SHARE,
} from "../flow-stages.ts";
import { layerStep } from "../layer-step.ts";
import { type Pen, penOn } from "../pen.ts";
import { runRecipe } from "../recipe.ts";
import { type Drawing, Section, type View } from "../section.ts";
import { stacked } from "../stacked.ts";
import type { Topic } from "../store.ts";
import { FlowSankey } from "./flow-sankey.ts";

const LABEL = 74;
const LANE = 84;
const AXIS = 24;
const LEGEND_LINE = 20;
/** Thickness of a band that costs the whole answer. */
const FULL_BAND = 34;

/** One picture of a run: which edges carry the answer, between which groups, in which layers. */
export class FlowMapView implements View {
  readonly id = "flow-map";
  readonly section: Section;
  readonly #context: Context;
  readonly #canvas = el("canvas", { tabindex: 0, role: "application" });
  readonly #box = el("div", { class: "flow" }, this.#canvas);
  readonly #legend = el("ol", { class: "flow-legend" });
  readonly #text = el("p", { class: "note", role: "status" });
  readonly #empty = el(
    "p",
    { class: "empty" },
    "The map is drawn from a knockout sweep's results.",
  );
  readonly #scope;
  readonly #sankey: FlowSankey;
  #stages: readonly FlowStage[] = [];
  #families: readonly FlowFamily[] = [];
  #chosen = 0;

  constructor(context: Context) {
    this.#context = context;
    this.section = new Section(context, "flow-map", "Flow map", {
      evidence: "cause",
      exports: {
        table: () => this.#table(),
        drawing: () => stacked([this.#drawing(), this.#sankey.drawing()]),
      },
    });
    this.#scope = radios(
      "Families drawn",
      [
        { value: "main", text: "main flow" },
        { value: "all", text: "every family cut" },
      ],
      context.store.choice<string>("flow-map:scope", "main"),
      (value) => context.store.choose("flow-map:scope", value),
    );
    this.section.controls.append(this.#scope.element);
    this.#sankey = new FlowSankey(context);
    this.section.body.append(
      this.#empty,
      this.#box,
      this.#legend,
      this.#text,
      this.#sankey.element,
    );
    onWidth(this.#box, () => this.#draw());
    this.#listen();
  }

  available(): boolean {
    return [...this.#context.store.experiments.values()].some(({ kind }) => kind === "knockout");
  }

  render(changed: ReadonlySet<Topic>): void {
    const { store } = this.#context;
    if (changed.size === 1 && changed.has("selection")) {
      this.#draw();
      return;
    }
    const scope = store.choice<string>("flow-map:scope", "main");
    this.#scope.set(scope);
    const flow = flowOf(store, scope === "main");
    this.#stages = flow?.stages ?? [];
    this.#families = flow?.families ?? [];
    this.#sankey.render(flow);
    show(this.#box, this.#stages.length > 0);
    show(this.#empty, this.#families.length === 0);
    this.#draw();
    const without = flow?.without ?? [];
    const pending = flow?.pending ?? [];
    setText(
      this.#text,
      [
        without.length > 0
          ? `Cost less than ${MIN_LOSS_PERCENT} % at every layer: ${without.join(", ")}.`
          : "",
        pending.length > 0 ? `Not decided yet: ${pending.join(", ")}.` : "",
      ]
        .filter((part) => part !== "")
        .join(" "),
    );
    this.section.setRecipe([
      `a band spans the window centres where cutting the edges costs at least ${100 * STAGE_SHARE} % of that family's largest loss; its thickness is the largest loss`,
      ...(flow === null ? [] : recipePhrases(flow.experiment)),
      ...runRecipe(store),
    ]);
    this.section.refresh();
  }

  /** The map alone; an exported picture has the legend below it. */
  get #height(): number {
    return LANES.length * LANE + AXIS;
  }

  #x(layer: number, width: number): number {
    const { layerCount } = this.#context.store;
    return LABEL + (layer / Math.max(1, layerCount)) * (width - LABEL - 8);
  }

  /** The bands with their places: a family's ends share its lane with others by order of peak. */
  #bands(width: number) {
    return this.#stages.map((stage, index) => {
      const size = Math.max(3, (FULL_BAND * Math.min(100, -stage.change)) / 100);
      const lane = (name: FlowStage["from"]) => LANES.indexOf(name) * LANE + LANE / 2;
      const nudge = (index % 3) * 9 - 9;
      const top = (name: FlowStage["from"]) => lane(name) - size / 2 + nudge;
      const [x0, x1] = [this.#x(stage.first, width), this.#x(stage.last + 1, width)];
      return { stage, size, x0, x1, y0: top(stage.from), y1: top(stage.to) };
    });
  }

  #draw(): void {
    const width = this.#box.clientWidth;
    if (width === 0 || this.#stages.length === 0) return;
    const height = this.#height;
    const canvas = this.#canvas;
    const pen = penOn(canvas, width, height, this.#context.theme.fontFamily);
    if (pen === null) return;
    this.#paint(pen, width, true);
    this.#renderLegend();
    const stage = this.#stages[this.#chosen];
    setAttributes(canvas, {
      "aria-label": `Flow map, ${this.#stages.length} stages. ${stage === undefined ? "" : sentence(stage)} Arrow keys up and down move over the stages, left and right over the layers.`,
    });
  }

  #paint(pen: Pen, width: number, marks: boolean): void {
    const { theme, store } = this.#context;
    const small = { fill: theme.muted, size: 11 };
    const right = width - 8;
    LANES.forEach((lane, index) => {
      const y = index * LANE + LANE / 2;
      pen.rect(LABEL, y - FULL_BAND / 2 - 6, right - LABEL, FULL_BAND + 12, theme.grid, 0.5);
      pen.text(lane, LABEL - 8, y, { fill: theme.foreground, size: 12, align: "right" });
    });
    const bottom = LANES.length * LANE;
    const cell = (right - LABEL) / Math.max(1, store.layerCount);
    const every = Math.max(1, Math.ceil(26 / cell));
    for (let layer = 0; layer < store.layerCount; layer += every) {
      pen.text(String(layer + 1), this.#x(layer + 0.5, width), bottom + 8, {
        ...small,
        align: "center",
      });
    }
    // Thick bands first, so that thin ones stay visible on them.
    const bands = this.#bands(width);
    for (const { stage, size, x0, x1, y0, y1 } of [...bands].sort((a, b) => b.size - a.size)) {
      const color = theme.series[stage.slot % theme.series.length] ?? theme.foreground;
      if (stage.from === stage.to) pen.rect(x0, y0, x1 - x0, size, color, 0.55);
      else pen.band(x0, y0, size, x1, y1, size, color);
    }
    // Numbers, so that no family is known by its colour alone.
    bands.forEach(({ size, x0, x1, y0, y1 }, index) => {
      pen.text(String(index + 1), (x0 + x1) / 2, (y0 + y1 + size) / 2, {
        fill: theme.foreground,
        size: 12,
        align: "center",
        bold: true,
        halo: theme.background,
      });
    });
    if (!marks) return;
    const x = this.#x(store.shownLayer, width);
    pen.frame(x, 1, cell, bottom - 2, theme.accent, 1);
  }

  #paintLegend(pen: Pen): void {
    const { theme } = this.#context;
    this.#stages.forEach((stage, index) => {
      const y = this.#height + index * LEGEND_LINE + 6;
      const color = theme.series[stage.slot % theme.series.length] ?? theme.foreground;
      pen.rect(LABEL, y - 5, 14, 10, color);
      pen.text(`${index + 1}  ${sentence(stage)}`, LABEL + 20, y, {
        fill: theme.foreground,
        size: 12,
      });
    });
  }

  #renderLegend(): void {
    fill(
      this.#legend,
      ...this.#stages.map((stage, index) =>
        el(
          "li",
          { class: index === this.#chosen ? "flow-stage emphasised" : "flow-stage" },
          el("span", { class: `swatch s${(stage.slot % 8) + 1}`, "aria-hidden": "true" }),
          el("span", {}, `${index + 1} ${sentence(stage)}`),
        ),
      ),
    );
  }

  #drawing(): Drawing | null {
    if (this.#stages.length === 0) return null;
    const width = Math.max(480, this.#box.clientWidth);
    return {
      width,
      height: this.#height + this.#stages.length * LEGEND_LINE + 4,
      draw: (pen) => {
        this.#paint(pen, width, false);
        this.#paintLegend(pen);
      },
    };
  }

  #listen(): void {
    const { store } = this.#context;
    const canvas = this.#canvas;
    canvas.addEventListener("pointermove", (event) => {
      const width = this.#box.clientWidth;
      const hit = this.#bands(width).findIndex(({ x0, x1, y0, y1, size }) => {
        if (event.offsetX < x0 || event.offsetX > x1) return false;
        const share = (event.offsetX - x0) / Math.max(1, x1 - x0);
        const top = y0 + (y1 - y0) * share * share * (3 - 2 * share);
        return event.offsetY >= top - 2 && event.offsetY <= top + size + 2;
      });
      const stage = this.#stages[hit];
      canvas.title = stage === undefined ? "" : sentence(stage);
      if (stage !== undefined && hit !== this.#chosen) {
        this.#chosen = hit;
        this.#draw();
      }
    });
    canvas.addEventListener("click", (event) => {
      const share = (event.offsetX - LABEL) / (this.#box.clientWidth - LABEL - 8);
      if (share >= 0 && share < 1) store.chooseLayer(Math.floor(share * store.layerCount));
    });
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        event.preventDefault();
        const step = event.key === "ArrowDown" ? 1 : -1;
        const count = Math.max(1, this.#stages.length);
        this.#chosen = (this.#chosen + step + count) % count;
        const stage = this.#stages[this.#chosen];
        if (stage !== undefined) store.chooseLayer(stage.peak);
        this.#draw();
        return;
      }
      const layer = layerStep(event.key, store.chosenLayer, store.layerCount);
      if (layer === null) return;
      event.preventDefault();
      store.chooseLayer(layer);
    });
  }

  #table() {
    return {
      caption: "Edge families of the knockout sweep; those that cost enough have layers",
      columns: [
        { name: "Edges cut" },
        { name: "from" },
        { name: "to" },
        { name: "first layer" },
        { name: "last layer" },
        { name: "largest loss at" },
        { name: "change", format: change },
        { name: "answer there" },
      ],
      rows: [...this.#families]
        .sort((a, b) => Number(a.stage === null) - Number(b.stage === null) || a.peak - b.peak)
        .map(({ name, from, to, stage, peak, loss, newAnswer }) => [
          name,
          from,
          to,
          stage === null ? null : stage.first + 1,
          stage === null ? null : stage.last + 1,
          peak + 1,
          -loss,
          visibleToken(newAnswer),
        ]),
    };
  }
}

function sentence(stage: FlowStage): string {
  const layers =
    stage.first === stage.last
      ? `layer ${stage.first + 1}`
      : `layers ${stage.first + 1}-${stage.last + 1}`;
  return `${stage.name}: ${layers}, ${change(stage.change)} at layer ${stage.peak + 1}`;
}
