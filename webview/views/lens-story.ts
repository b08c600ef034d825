import type { Context } from "../context.ts";
import { el, percent, setText, show } from "../dom.ts";
import { LayerChart } from "../layer-chart.ts";
import type { LensIndex } from "../lens-index.ts";
import type { DataTable } from "../table.ts";
import { describeVideoToken } from "./token-text.ts";

/** Words followed in the rank chart. */
const FOLLOWED = 6;

/** One video token's words through all layers: a rank chart, and the top-10 as a table. */
export class LensStory {
  readonly element = el("div", { class: "story", hidden: true });
  readonly #context: Context;
  readonly #index: LensIndex;
  readonly #title = el("h3");
  readonly #chart: LayerChart;
  #drawn = "";

  constructor(context: Context, index: LensIndex) {
    this.#context = context;
    this.#index = index;
    this.#chart = new LayerChart(context, 170);
    this.element.append(this.#title, this.#chart.element);
  }

  get #token(): number {
    const { store } = this.#context;
    return store.token === null ? -1 : (store.map?.videoIndex[store.token] ?? -1);
  }

  render(kind: string, onlySelection: boolean): void {
    const token = this.#token;
    show(this.element, token >= 0);
    if (token < 0) {
      this.#drawn = "";
      return;
    }
    const key = `${token}/${kind}`;
    if (onlySelection && key === this.#drawn) {
      this.#chart.renderMarks();
      return;
    }
    this.#drawn = key;
    const { store } = this.#context;
    setText(this.#title, `Words of ${describeVideoToken(store, token)}`);
    const layers = Array.from({ length: store.layerCount }, (_, layer) =>
      this.#words(layer, token, kind),
    );
    // Words that rank high for long are the token's story: 10 points for a lead, 1 for tenth place.
    const points = new Map<string, number>();
    for (const words of layers) {
      words?.forEach(({ word }, rank) => {
        points.set(word, (points.get(word) ?? 0) + (10 - Math.min(9, rank)));
      });
    }
    const followed = [...points].sort((a, b) => b[1] - a[1]).slice(0, FOLLOWED);
    this.#chart.render({
      title: `Rank of words, ${describeVideoToken(store, token)}`,
      yLabel: "rank",
      layers: store.layerCount,
      min: 1,
      max: 10,
      reverse: true,
      format: (value) => String(Math.round(value)),
      series: followed.map(([word], slot) => ({
        name: word,
        slot,
        values: layers.map((words) => {
          const rank = words?.findIndex((entry) => entry.word === word) ?? -1;
          return rank < 0 ? null : rank + 1;
        }),
      })),
    });
  }

  /** The token's top words at every layer. */
  table(kind: string): DataTable | null {
    const { store } = this.#context;
    const token = this.#token;
    if (token < 0) return null;
    const rows: (string | number | null)[][] = [];
    let widest = 0;
    for (let layer = 0; layer < store.layerCount; layer += 1) {
      const words = this.#words(layer, token, kind);
      if (words === undefined) continue;
      widest = Math.max(widest, words.length);
      rows.push([layer + 1, ...words.map(({ word, p }) => `${word} ${percent(p)}`)]);
    }
    return {
      caption: `Likeliest words of ${describeVideoToken(store, token)} after each layer`,
      columns: [
        { name: "Layer" },
        ...Array.from({ length: widest }, (_, i) => ({ name: String(i + 1) })),
      ],
      rows,
    };
  }

  #words(layer: number, token: number, kind: string) {
    const lens = this.#index.at(layer, kind);
    if (lens === undefined) return undefined;
    return Array.from({ length: lens.k }, (_, i) => ({
      word: this.#index.word(lens.ids[token * lens.k + i] ?? -1),
      p: lens.probabilities[token * lens.k + i] ?? 0,
    }));
  }
}
