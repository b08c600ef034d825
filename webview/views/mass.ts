import { groupTitle } from "../../src/protocol/group-names.ts";
import { massByHead, meanMass } from "../../src/runs/mass.ts";
import { crossFrameMass, massGroups } from "../attention-index.ts";
import type { Context } from "../context.ts";
import { button, dropdown } from "../controls.ts";
import { change, el, percent, setText, show } from "../dom.ts";
import { LayerChart } from "../layer-chart.ts";
import type { LineSeries } from "../line-figure.ts";
import { MatrixChart } from "../matrix-chart.ts";
import type { Topic } from "../store.ts";

/** Key groups that do not overlap: together with the rest they share out the whole attention. */
const PARTITION = ["system", "video", "question", "last"];
const CROSS_FRAME = "cross-frame";
const separator = " → ";

/** A pair of groups for people. */
function pairTitle(pair: string): string {
  if (pair === CROSS_FRAME) return "cross-frame (frames → earlier frames)";
  return pair.split(separator).map(groupTitle).join(separator);
}

/** Group mass: stacked areas by layer, and heads x layers for one pair of groups. */
export class MassPart {
  readonly element = el("div", { class: "stack" });
  readonly #context: Context;
  readonly #areas: LayerChart;
  readonly #heads: MatrixChart;
  readonly #query;
  readonly #pair;
  readonly #headText = el("p", { class: "note", role: "status" });
  readonly #cut;
  #head: number | null = null;

  constructor(context: Context) {
    this.#context = context;
    const { store } = context;
    this.#areas = new LayerChart(context, 170);
    this.#heads = new MatrixChart(context, (row) => {
      this.#head = row;
      this.#renderHeads();
    });
    this.#query = dropdown("Attention of", [], "", (value) => store.choose("mass:query", value));
    this.#pair = dropdown("Heads that carry", [], "", (value) => store.choose("mass:pair", value));
    this.#cut = button("Knock out each head here", () => void this.#knockOut(), {
      label: "Knock out each head alone at the chosen layer",
    });
    this.element.append(
      el("h3", {}, "Where attention goes, by group"),
      el("div", { class: "controls" }, this.#query.element),
      this.#areas.element,
      el("h3", {}, "Heads and layers"),
      el("div", { class: "controls" }, this.#pair.element, this.#cut),
      this.#heads.element,
      this.#headText,
    );
  }

  render(changed: ReadonlySet<Topic>): void {
    const { store } = this.#context;
    const { queries, keys } = massGroups(store);
    show(this.element, queries.length > 0);
    if (queries.length === 0) return;
    if (changed.size === 1 && changed.has("selection")) {
      this.#areas.renderMarks();
      this.#renderHeads();
      return;
    }
    const plain = queries.filter((name) => !name.startsWith("frame:"));
    this.#query.setChoices(
      plain.map((name) => ({ value: name, text: groupTitle(name) })),
      this.#queryChoice,
    );
    const pairs = plain.flatMap((query) =>
      PARTITION.filter((key) => keys.includes(key)).map((key) => `${key}${separator}${query}`),
    );
    const crossFrame = queries.filter((name) => name.startsWith("frame:")).length > 1;
    this.#pair.setChoices(
      [...(crossFrame ? [CROSS_FRAME] : []), ...pairs].map((pair) => ({
        value: pair,
        text: pairTitle(pair),
      })),
      this.#pairChoice,
    );
    this.#areas.render({
      title: `Attention of ${groupTitle(this.#queryChoice)} by group`,
      yLabel: "share of attention",
      layers: store.layerCount,
      min: 0,
      max: 1,
      stacked: true,
      format: percent,
      series: this.#areaSeries(keys),
    });
    this.#renderHeads();
  }

  get #queryChoice(): string {
    const { queries } = massGroups(this.#context.store);
    const chosen = this.#context.store.choice<string>("mass:query", "last");
    return queries.includes(chosen) ? chosen : (queries.at(-1) ?? "");
  }

  get #pairChoice(): string {
    return this.#context.store.choice<string>("mass:pair", `video${separator}question`);
  }

  #areaSeries(keys: readonly string[]): LineSeries[] {
    const { store } = this.#context;
    const query = this.#queryChoice;
    const mean = (layer: number, key: string) =>
      meanMass(store.layers[layer]?.mass, query, key) ?? null;
    const names = PARTITION.filter(
      (key) => keys.includes(key) && (key !== query || key !== "last"),
    );
    const series: LineSeries[] = names.map((key) => ({
      name: key,
      slot: { system: 6, video: 0, question: 2, last: 5 }[key] ?? 3,
      values: Array.from({ length: store.layerCount }, (_, layer) => mean(layer, key)),
    }));
    series.push({
      name: query === "last" ? "other text and itself" : "other text",
      slot: 7,
      values: Array.from({ length: store.layerCount }, (_, layer) => {
        const parts = series.map(({ values }) => values[layer] ?? null);
        if (parts.some((part) => part === null)) return null;
        return Math.max(0, 1 - parts.reduce<number>((sum, part) => sum + (part ?? 0), 0));
      }),
    });
    return series;
  }

  #byHead(layer: number): Float32Array | undefined {
    const mass = this.#context.store.layers[layer]?.mass;
    const pair = this.#pairChoice;
    if (pair === CROSS_FRAME) return crossFrameMass(mass);
    const [key = "", query = ""] = pair.split(separator);
    return massByHead(mass, query, key);
  }

  #renderHeads(): void {
    const { store } = this.#context;
    const layers = store.layerCount;
    const heads = store.run?.model.heads ?? 0;
    const values = new Float32Array(heads * layers).fill(Number.NaN);
    let max = 0;
    for (let layer = 0; layer < layers; layer += 1) {
      this.#byHead(layer)?.forEach((value, head) => {
        if (head < heads) values[head * layers + layer] = value;
        max = Math.max(max, value);
      });
    }
    this.#heads.render({
      title: `Attention ${this.#pairChoice} by head and layer`,
      rows: Array.from({ length: heads }, (_, head) => `Head ${head + 1}`),
      layers,
      values,
      max,
      unit: "of the attention",
      format: percent,
      chosenRow: this.#head,
    });
    const canCut = this.#context.identity?.readOnly === null && this.#pairChoice !== CROSS_FRAME;
    show(this.#cut, canCut);
    setText(this.#headText, this.#headResult());
  }

  /** What cutting the chosen head did, when the run holds it. */
  #headResult(): string {
    const { store } = this.#context;
    if (this.#head === null) return "Choose a cell to see that head.";
    const layer = store.chosenLayer;
    const name = `Head ${this.#head + 1}, layer ${layer + 1}`;
    const value = this.#byHead(layer)?.[this.#head];
    const told = value === undefined ? name : `${name}: ${percent(value)} (${this.#pairChoice})`;
    const [from, to] = this.#pairChoice.split(separator);
    for (const experiment of store.experiments.values()) {
      if (experiment.kind !== "heads") continue;
      if (experiment.recipe.from !== from || experiment.recipe.to !== to) continue;
      for (const series of experiment.series.values()) {
        const result = series.byLayer.get(layer);
        if (result?.detail?.head !== this.#head) continue;
        return `${told}; cut: answer's probability ${change(result.relative_diff)} (cause)`;
      }
    }
    return told;
  }

  async #knockOut(): Promise<void> {
    const [from = "", to = ""] = this.#pairChoice.split(separator);
    const layer = this.#context.store.chosenLayer;
    try {
      const request = { kind: "heads", from, to, window: 1, layers: [layer, layer] } as const;
      await this.#context.request("experiment", { request });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
  }
}
