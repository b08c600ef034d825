import { layerSpansText } from "../../src/protocol/experiments/parameters.ts";
import type { Context } from "../context.ts";
import { textField } from "../controls.ts";
import { el, setText, show } from "../dom.ts";
import { LayerChart } from "../layer-chart.ts";
import type { LensIndex, LensLayer } from "../lens-index.ts";
import { describeVideoToken } from "./token-text.ts";

/** Finds a word among the lens readings: where it shows, how often by layer, and since which layer. */
export class LensSearch {
  readonly field: HTMLElement;
  readonly result = el("div", { class: "search-result", hidden: true });
  readonly #context: Context;
  readonly #index: LensIndex;
  readonly #text = el("p", { role: "status" });
  readonly #chart: LayerChart;
  readonly #input;

  constructor(context: Context, index: LensIndex) {
    this.#context = context;
    this.#index = index;
    this.#chart = new LayerChart(context, 120);
    this.#input = textField("Find a word in the lens", "Find a word …", (value) =>
      context.store.choose("lens:search", value),
    );
    this.field = this.#input.element;
    this.result.append(this.#text, this.#chart.element);
  }

  get #query(): string {
    return this.#context.store.choice("lens:search", "").trim().toLowerCase();
  }

  /** Per video token: 2 where the word leads, 1 where it is among the top, 0 elsewhere; null: no search. */
  hits(lens: LensLayer): Uint8Array | null {
    const query = this.#query;
    if (query === "") return null;
    const matching = this.#matching(query);
    const tokens = lens.ids.length / lens.k;
    const hits = new Uint8Array(tokens);
    for (let token = 0; token < tokens; token += 1) {
      for (let i = 0; i < lens.k; i += 1) {
        if (!matching.has(lens.ids[token * lens.k + i] ?? -1)) continue;
        hits[token] = i === 0 ? 2 : 1;
        break;
      }
    }
    return hits;
  }

  render(kind: string, onlySelection: boolean): void {
    const query = this.#query;
    show(this.result, query !== "");
    if (query === "") return;
    if (onlySelection) {
      this.#chart.renderMarks();
      return;
    }
    this.#input.set(this.#context.store.choice("lens:search", ""));
    const { store } = this.#context;
    const leading: (number | null)[] = [];
    const among: (number | null)[] = [];
    let first: { layer: number; token: number } | null = null;
    for (let layer = 0; layer < store.layerCount; layer += 1) {
      const lens = this.#index.at(layer, kind);
      const hits = lens === undefined ? null : this.hits(lens);
      leading.push(hits === null ? null : count(hits, 2));
      among.push(hits === null ? null : count(hits, 1) + count(hits, 2));
      if (first === null && hits !== null) {
        const token = hits.indexOf(2);
        if (token >= 0) first = { layer, token };
      }
    }
    setText(
      this.#text,
      first === null
        ? `“${query}” is no video token's likeliest word at any layer read.`
        : `“${query}” is the likeliest word of video tokens in ${leadingLayers(leading)}; first: ${describeVideoToken(store, first.token)}.`,
    );
    this.#chart.render({
      title: `Video tokens that read “${query}”`,
      yLabel: "video tokens",
      layers: store.layerCount,
      min: 0,
      format: (value) => String(Math.round(value * 10) / 10),
      series: [
        { name: "likeliest word", slot: 0, values: leading, emphasised: true },
        { name: "among the top words", slot: 1, values: among },
      ],
    });
  }

  /** Ids whose word is the query, or, when no word is, begins with it. */
  #matching(query: string): Set<number> {
    const exact = new Set<number>();
    const prefix = new Set<number>();
    for (const id of this.#context.store.vocabulary.keys()) {
      const word = this.#index.word(id).toLowerCase();
      if (word === query) exact.add(id);
      else if (word.startsWith(query)) prefix.add(id);
    }
    return exact.size > 0 ? exact : prefix;
  }
}

/** "layers 4 and 7-9": where any token reads the word first. */
function leadingLayers(counts: readonly (number | null)[]): string {
  const spans: [number, number][] = [];
  counts.forEach((found, layer) => {
    if (found === null || found === 0) return;
    const last = spans.at(-1);
    if (last !== undefined && last[1] === layer) last[1] = layer + 1;
    else spans.push([layer, layer + 1]);
  });
  return layerSpansText(spans);
}

function count(hits: Uint8Array, value: number): number {
  let found = 0;
  for (const hit of hits) if (hit === value) found += 1;
  return found;
}
