import { cellOf } from "../../src/protocol/grid.ts";
import { attentionRow, hasAttention } from "../attention-index.ts";
import type { Context } from "../context.ts";
import { button, dropdown, radios } from "../controls.ts";
import { el, fill, percent, setText, show } from "../dom.ts";
import { FrameStrip, type Overlay } from "../frame-strip.ts";
import { MatrixChart, type MatrixFigure, matrixTable } from "../matrix-chart.ts";
import { runRecipe } from "../recipe.ts";
import { Section, type View } from "../section.ts";
import type { ObservedBranch, Topic } from "../store.ts";
import { heat } from "../theme.ts";
import { MassPart } from "./mass.ts";
import { describePosition, describeVideoToken, nameGridFrame } from "./token-text.ts";

/** Where a query token looks on the frames, by layer; and how attention is shared out by group. */
export class AttentionView implements View {
  readonly id = "attention";
  readonly section: Section;
  readonly #context: Context;
  readonly #strip: FrameStrip;
  readonly #cutStrip: FrameStrip;
  readonly #cutPart = el("div", { class: "stack" });
  readonly #cutTitle = el("h3");
  readonly #branch;
  readonly #frames: MatrixChart;
  readonly #mass: MassPart;
  readonly #query = el("p", { class: "query" });
  readonly #missing = el("div", { class: "empty" });
  readonly #rowPart = el("div", { class: "stack" });
  readonly #head;
  readonly #readHeads = button("Read every head", () => void this.#ask(this.#position), {
    label: "Read this token's attention head by head",
  });
  readonly #scale;
  readonly #scaleText = el("p", { class: "note" });
  #weights: ReturnType<typeof attentionRow>;
  #cutWeights: ReturnType<typeof attentionRow>;
  #max = 0;
  #figureKey = "";
  #figure: MatrixFigure | null = null;
  #asked = false;

  constructor(context: Context) {
    this.#context = context;
    const { store } = context;
    this.section = new Section(context, "attention", "Attention", {
      evidence: "correlation",
      exports: {
        table: () => (this.#figure === null ? null : matrixTable(this.#figure)),
        drawing: () => this.#strip.drawing(),
      },
    });
    this.#strip = new FrameStrip(context, "Attention over the frames", (token) =>
      this.#describe(token, this.#weights),
    );
    this.#cutStrip = new FrameStrip(context, "Attention over the frames when cut", (token) =>
      this.#describe(token, this.#cutWeights),
    );
    this.#branch = dropdown("Beside", [], "", (value) => store.choose("attention:branch", value));
    this.#cutPart.append(this.#cutTitle, this.#cutStrip.element);
    this.#frames = new MatrixChart(context, () => {});
    this.#mass = new MassPart(context);
    this.#head = dropdown("Heads", [], "", (value) => store.choose("attention:head", value));
    this.#scale = radios(
      "Colour scale",
      [
        { value: "layer", text: "scale of this layer" },
        { value: "all", text: "one scale for all layers" },
      ],
      this.#scaleChoice,
      (value) => store.choose("attention:scale", value),
    );
    this.#rowPart.append(
      el(
        "div",
        { class: "controls" },
        this.#head.element,
        this.#readHeads,
        this.#branch.element,
        this.#scale.element,
      ),
      el("div", { class: "pair" }, this.#strip.element, this.#cutPart),
      this.#scaleText,
      el("h3", {}, "Attention to each frame by layer"),
      this.#frames.element,
    );
    this.section.body.append(this.#query, this.#missing, this.#rowPart, this.#mass.element);
  }

  available(): boolean {
    const { store, identity } = this.#context;
    if (store.run === null || (store.map?.videoPositions.length ?? 0) === 0) return false;
    const read = store.layers.some((layer) => layer?.attention.length || layer?.mass);
    return read || identity?.readOnly === null;
  }

  get #scaleChoice(): string {
    return this.#context.store.choice<string>("attention:scale", "layer");
  }

  /** The query: the chosen text token, else the last position. */
  get #position(): number {
    const { store } = this.#context;
    const chosen = store.token;
    if (chosen !== null && store.map?.textAt(chosen) !== undefined) return chosen;
    return (store.map?.length ?? 1) - 1;
  }

  get #headChoice(): number | null {
    const value = Number(this.#context.store.choice<string>("attention:head", ""));
    const chosen = this.#context.store.choice<string>("attention:head", "");
    return chosen === "" || !Number.isInteger(value) ? null : value;
  }

  render(changed: ReadonlySet<Topic>): void {
    const { store } = this.#context;
    const query = this.#position;
    setText(this.#query, `Query: ${describePosition(store, query)}`);
    const read = hasAttention(store.layers, query);
    show(this.#rowPart, read);
    show(this.#missing, !read);
    if (read) this.#renderRow(query, changed);
    else this.#renderMissing(query);
    this.#mass.render(changed);
    const head = this.#headChoice;
    this.section.setRecipe([
      `query position ${query}`,
      `weights after the softmax, layer ${store.shownLayer + 1}`,
      head === null ? "mean over all heads" : `head ${head + 1}`,
      "not renormalised over the video tokens",
      "colour by the square root of the share of the scale's top",
      ...runRecipe(store),
    ]);
    const onlySelection = changed.size === 1 && changed.has("selection");
    if (!onlySelection || this.section.tableShown) this.section.refresh();
  }

  #renderRow(query: number, changed: ReadonlySet<Topic>): void {
    const { store } = this.#context;
    const heads = hasAttention(store.layers, query, true) ? (store.run?.model.heads ?? 0) : 0;
    show(this.#head.element, heads > 0);
    // What was read for all tokens at once is the mean over heads.
    show(this.#readHeads, heads === 0 && this.#context.identity?.readOnly === null);
    this.#readHeads.disabled = this.#asked;
    this.#head.setChoices(
      [
        { value: "", text: "mean of all" },
        ...Array.from({ length: heads }, (_, h) => ({ value: String(h), text: `head ${h + 1}` })),
      ],
      this.#headChoice === null ? "" : String(this.#headChoice),
    );
    this.#scale.set(this.#scaleChoice);
    const head = heads > 0 ? this.#headChoice : null;
    this.#updateFigure(query, head);
    this.#weights = attentionRow(store.layers, store.shownLayer, query, head);
    const positions = store.map?.videoPositions ?? new Int32Array();
    const branch = this.#chosenBranch(query, head);
    this.#cutWeights =
      branch === undefined ? undefined : attentionRow(branch.layers, store.shownLayer, query, head);
    // Clean and cut share one scale, or the eye compares colours that mean different shares.
    if (this.#scaleChoice === "layer") {
      this.#max = Math.max(largest(this.#weights, positions), largest(this.#cutWeights, positions));
    }
    show(this.#cutPart, branch !== undefined);
    setText(this.#cutTitle, branch === undefined ? "" : `Cut: ${branch.series}`);
    const relaid = changed.has("run") || changed.has("frames") || changed.has("theme");
    for (const [strip, weights] of [
      [this.#strip, this.#weights],
      [this.#cutStrip, this.#cutWeights],
    ] as const) {
      if (strip === this.#cutStrip && branch === undefined) continue;
      strip.setOverlay(this.#overlay(positions, weights));
      if (relaid) strip.renderAll();
      else strip.renderOverlay();
    }
    let total = 0;
    for (const position of positions) total += this.#weights?.[position] ?? 0;
    setText(
      this.#scaleText,
      `Layer ${store.shownLayer + 1}: ${percent(total)} of the attention goes to the video; yellow is ${percent(this.#max)} on one token.`,
    );
  }

  /** The branch shown beside the clean run, among those that read this query's attention. */
  #chosenBranch(query: number, head: number | null): ObservedBranch | undefined {
    const { store } = this.#context;
    const all = [...store.branches].filter(([, { layers }]) =>
      hasAttention(layers, query, head !== null),
    );
    show(this.#branch.element, all.length > 0);
    const chosen = store.choice<string>("attention:branch", "");
    const found = all.find(([key]) => key === chosen);
    this.#branch.setChoices(
      [
        { value: "", text: "nothing" },
        ...all.map(([key, { series }]) => ({ value: key, text: `cut: ${series}` })),
      ],
      found === undefined ? "" : chosen,
    );
    return found?.[1];
  }

  /** Sums by frame and layer; recomputed when the query, the head or the readings change. */
  #updateFigure(query: number, head: number | null): void {
    const { store } = this.#context;
    const known = store.layers.reduce((sum, layer) => sum + (layer?.attention.length ?? 0), 0);
    const key = `${query}/${head}/${known}/${this.#scaleChoice}`;
    if (key === this.#figureKey) {
      this.#frames.renderMarks();
      return;
    }
    this.#figureKey = key;
    const positions = store.map?.videoPositions ?? new Int32Array();
    const grid = store.map?.grid ?? { frames: 0, rows: 0, columns: 0 };
    const frameOf = Int32Array.from(positions, (_, token) => cellOf(grid, token).frame);
    const layers = store.layerCount;
    const values = new Float32Array(grid.frames * layers).fill(Number.NaN);
    let most = 0;
    let overall = 0;
    for (let layer = 0; layer < layers; layer += 1) {
      const row = attentionRow(store.layers, layer, query, head);
      if (row === undefined) continue;
      overall = Math.max(overall, largest(row, positions));
      const sums = new Float64Array(grid.frames);
      positions.forEach((position, token) => {
        const frame = frameOf[token] ?? 0;
        sums[frame] = (sums[frame] ?? 0) + (row[position] ?? 0);
      });
      sums.forEach((sum, frame) => {
        values[frame * layers + layer] = sum;
        most = Math.max(most, sum);
      });
    }
    if (this.#scaleChoice === "all") this.#max = overall;
    this.#figure = {
      title: `Attention of ${describePosition(store, query)} to each frame`,
      rows: Array.from({ length: grid.frames }, (_, frame) => nameGridFrame(store, frame)),
      layers,
      values,
      max: most,
      unit: "of the attention",
      format: percent,
    };
    this.#frames.render(this.#figure);
  }

  #overlay(positions: Int32Array, weights: ReturnType<typeof attentionRow>): Overlay {
    const max = this.#max || 1;
    // The square root of the share lifts the middle: attention has few large values and a long tail.
    const shade = (token: number) => Math.sqrt((weights?.[positions[token] ?? 0] ?? 0) / max);
    return {
      color: (token) => (weights === undefined ? null : heat(shade(token))),
      alpha: (token) => 0.35 + 0.45 * Math.min(1, shade(token)),
    };
  }

  #renderMissing(query: number): void {
    const { readOnly } = this.#context.identity ?? { readOnly: null };
    const ask = button("Compute this token's attention", () => void this.#ask(query), {
      look: "primary",
    });
    ask.disabled = this.#asked;
    fill(
      this.#missing,
      el("p", {}, "The run does not hold this token's attention."),
      readOnly === null ? ask : el("p", {}, readOnly),
    );
  }

  async #ask(query: number): Promise<void> {
    this.#asked = true;
    this.#readHeads.disabled = true;
    this.#renderMissing(query);
    try {
      const observations = { lens: false, mass: true, attention: [query], headAveraged: false };
      await this.#context.request("observe", { observations });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
    this.#asked = false;
    this.#context.store.touch("attention");
  }

  #describe(token: number, weights: ReturnType<typeof attentionRow>): string {
    const { store } = this.#context;
    const position = store.map?.videoPositions[token] ?? 0;
    const weight = weights?.[position];
    const where = describeVideoToken(store, token);
    return weight === undefined
      ? where
      : `${where}, layer ${store.shownLayer + 1}: ${percent(weight)} of the attention`;
  }
}

function largest(row: ReturnType<typeof attentionRow>, positions: Int32Array): number {
  let max = 0;
  for (const position of positions) max = Math.max(max, row?.[position] ?? 0);
  return max;
}
