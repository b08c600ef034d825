import { parseWords, SPATIAL_WORDS, TEMPORAL_WORDS } from "../../src/runs/words.ts";
import type { Context } from "../context.ts";
import { button, dropdown, textField } from "../controls.ts";
import { el, fill, percent, show } from "../dom.ts";
import { FrameStrip, type Overlay } from "../frame-strip.ts";
import { LayerChart } from "../layer-chart.ts";
import { LensIndex, type LensLayer } from "../lens-index.ts";
import type { LineFigure } from "../line-figure.ts";
import { runRecipe } from "../recipe.ts";
import { Section, type View } from "../section.ts";
import type { Topic } from "../store.ts";
import { wordFrequency } from "../word-frequency.ts";
import { LensSearch } from "./lens-search.ts";
import { LensStory } from "./lens-story.ts";
import { describeVideoToken } from "./token-text.ts";

/** Words that get a colour of their own; the rest share the neutral one. */
const COLOURED = [0, 1, 2, 3, 4, 5, 7];
const NEUTRAL = 6;
/** Words without meaning of their own do not use up colours. */
const DULL = new Set(["the", "of", "and", "a", "in", "to", "is", "an", "on", "at", "it", "this"]);

/** The logit lens on the frames: each video token's likeliest word at the shown layer. */
export class LensView implements View {
  readonly id = "lens";
  readonly section: Section;
  readonly #context: Context;
  readonly #index: LensIndex;
  readonly #strip: FrameStrip;
  readonly #legend = el("ul", { class: "legend static" });
  readonly #missing = el("div", { class: "empty" });
  readonly #content = el("div", { class: "stack" });
  readonly #kind;
  readonly #search: LensSearch;
  readonly #story: LensStory;
  readonly #frequency: LayerChart;
  readonly #spatial;
  readonly #temporal;
  #slots = new Map<number, number>();
  #asked = false;

  constructor(context: Context) {
    this.#context = context;
    const { store } = context;
    this.#index = new LensIndex(store);
    this.section = new Section(context, "lens", "Logit lens on the frames", {
      evidence: "correlation",
      exports: { table: () => this.#table(), drawing: () => this.#strip.drawing() },
    });
    this.#strip = new FrameStrip(
      context,
      "Likeliest word of each video token",
      (token) => this.#describe(token),
      130,
    );
    this.#kind = dropdown("Reading", [], "", (value) => store.choose("lens:kind", value));
    this.#search = new LensSearch(context, this.#index);
    this.#story = new LensStory(context, this.#index);
    this.#frequency = new LayerChart(context, 150);
    const words = (label: string, key: string) =>
      textField(label, label, (value) => store.choose(key, value));
    this.#spatial = words("Spatial words", "lens:spatial");
    this.#temporal = words("Temporal words", "lens:temporal");
    this.section.controls.append(this.#kind.element, this.#search.field);
    this.#content.append(
      this.#search.result,
      this.#strip.element,
      this.#legend,
      this.#story.element,
      el("h3", {}, "Spatial and temporal words by layer"),
      el(
        "div",
        { class: "controls" },
        el("label", { class: "field grow" }, el("span", {}, "Spatial"), this.#spatial.element),
        el("label", { class: "field grow" }, el("span", {}, "Temporal"), this.#temporal.element),
      ),
      this.#frequency.element,
    );
    this.section.body.append(this.#missing, this.#content);
  }

  available(): boolean {
    const { store, identity } = this.#context;
    if (store.run === null || (store.map?.videoPositions.length ?? 0) === 0) return false;
    return identity?.readOnly === null || this.#index.kinds().length > 0;
  }

  get #kindKey(): string {
    const kinds = this.#index.kinds();
    const chosen = this.#context.store.choice("lens:kind", "");
    return (kinds.find(({ key }) => key === chosen) ?? kinds[0])?.key ?? "";
  }

  render(changed: ReadonlySet<Topic>): void {
    const kinds = this.#index.kinds();
    show(this.#content, kinds.length > 0);
    show(this.section.controls, kinds.length > 0);
    show(this.#missing, kinds.length === 0);
    if (kinds.length === 0) {
      this.#renderMissing();
      this.section.setRecipe([]);
      this.section.refresh();
      return;
    }
    const onlySelection = changed.size === 1 && changed.has("selection");
    if (!onlySelection) {
      this.#assignColours();
      this.#kind.setChoices(
        kinds.map(({ key, norm, unembedding }) => ({
          value: key,
          text: `${norm ? "final norm" : "no norm"}, ${unembedding === "head" ? "output head" : "input embedding"}`,
        })),
        this.#kindKey,
      );
      this.#renderFrequency();
    }
    const { shownLayer } = this.#context.store;
    this.#search.render(this.#kindKey, onlySelection);
    this.#strip.setOverlay(this.#overlay(shownLayer));
    const relaid = changed.has("run") || changed.has("frames") || changed.has("theme");
    if (relaid) this.#strip.renderAll();
    else this.#strip.renderOverlay();
    this.#renderLegend(shownLayer);
    this.#story.render(this.#kindKey, onlySelection);
    if (onlySelection) this.#frequency.renderMarks();
    const kind = kinds.find(({ key }) => key === this.#kindKey);
    this.section.setRecipe([
      `residual stream of every video token after layer ${shownLayer + 1}`,
      kind?.norm === false ? "no norm (the last layer has it)" : "final norm",
      kind?.unembedding === "embedding" ? "input embedding as unembedding" : "output head",
      "top-1 of softmax",
      ...runRecipe(this.#context.store),
    ]);
    if (!onlySelection || this.section.tableShown) this.section.refresh();
  }

  #renderMissing(): void {
    const ask = button("Compute the lens", () => void this.#ask(), { look: "primary" });
    ask.disabled = this.#asked;
    const running = this.#context.store.engine.kind === "running";
    fill(
      this.#missing,
      el("p", {}, "This run holds no lens readings of its video tokens yet."),
      running && this.#asked ? el("p", {}, "Computing …") : ask,
    );
  }

  async #ask(): Promise<void> {
    this.#asked = true;
    this.#renderMissing();
    try {
      const observations = {
        lens: true,
        mass: false,
        attention: "none" as const,
        headAveraged: true,
      };
      await this.#context.request("observe", { observations });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
    this.#asked = false;
    this.#context.store.touch("lens");
  }

  /** Gives colours to the words that lead most often, over all layers: stable while layers change. */
  #assignColours(): void {
    const ranked = [...this.#index.frequencies(this.#kindKey)]
      .filter(([id]) => {
        const word = this.#index.word(id).toLowerCase();
        return /\p{L}{2}/u.test(word) && !DULL.has(word);
      })
      .sort((a, b) => b[1] - a[1]);
    this.#slots = new Map(
      ranked.slice(0, COLOURED.length).map(([id], i) => [id, COLOURED[i] ?? NEUTRAL]),
    );
  }

  #overlay(layer: number): Overlay | null {
    const lens = this.#index.at(layer, this.#kindKey);
    if (lens === undefined) return null;
    const { theme } = this.#context;
    const { ids, probabilities, k } = lens;
    const hits = this.#search.hits(lens);
    const color = (token: number) => {
      const id = ids[token * k] ?? -1;
      if (id < 0) return null;
      if (hits !== null) return hits[token] === 0 ? "#000000" : theme.accent;
      return theme.series[this.#slots.get(id) ?? NEUTRAL] ?? null;
    };
    const alpha = (token: number) => {
      if (hits !== null) return [0.55, 0.4, 0.8][hits[token] ?? 0] ?? 0.5;
      const id = ids[token * k] ?? -1;
      const strength = 0.25 + 0.5 * (probabilities[token * k] ?? 0);
      return this.#slots.has(id) ? strength : strength * 0.5;
    };
    return { color, alpha, word: (token) => this.#index.word(ids[token * k] ?? -1) };
  }

  #renderLegend(layer: number): void {
    const lens = this.#index.at(layer, this.#kindKey);
    const counts = new Map<number, number>();
    let others = 0;
    for (let row = 0; row < (lens?.ids.length ?? 0); row += lens?.k ?? 1) {
      const id = lens?.ids[row] ?? -1;
      if (this.#slots.has(id)) counts.set(id, (counts.get(id) ?? 0) + 1);
      else if (id >= 0) others += 1;
    }
    const entry = (slot: number, word: string, count: number) =>
      el(
        "li",
        {},
        el("span", { class: `swatch s${slot + 1}`, "aria-hidden": "true" }),
        el("span", {}, `${word} ${count}`),
      );
    fill(
      this.#legend,
      ...[...this.#slots].map(([id, slot]) =>
        entry(slot, this.#index.word(id), counts.get(id) ?? 0),
      ),
      entry(NEUTRAL, "other words", others),
    );
  }

  #renderFrequency(): void {
    const { store } = this.#context;
    const spatial = store.choice("lens:spatial", SPATIAL_WORDS);
    const temporal = store.choice("lens:temporal", TEMPORAL_WORDS);
    this.#spatial.set(spatial);
    this.#temporal.set(temporal);
    const series = (name: string, slot: number, text: string) => ({
      name,
      slot,
      values: wordFrequency(this.#index, this.#kindKey, store.layerCount, parseWords(text)),
    });
    const figure: LineFigure = {
      title: "Spatial and temporal words by layer",
      yLabel: "share of a word's top-1 count",
      layers: store.layerCount,
      min: 0,
      format: percent,
      series: [series("Spatial words", 0, spatial), series("Temporal words", 1, temporal)],
    };
    this.#frequency.render(figure);
  }

  #top(lens: LensLayer, token: number): [string, number][] {
    return Array.from({ length: lens.k }, (_, i): [string, number] => [
      this.#index.word(lens.ids[token * lens.k + i] ?? -1),
      lens.probabilities[token * lens.k + i] ?? 0,
    ]);
  }

  #describe(token: number): string {
    const { store } = this.#context;
    const where = describeVideoToken(store, token);
    const lens = this.#index.at(store.shownLayer, this.#kindKey);
    if (lens === undefined) return where;
    const words = this.#top(lens, token)
      .slice(0, 3)
      .map(([word, p]) => `${word} ${percent(p)}`);
    return `${where}, layer ${store.shownLayer + 1}: ${words.join(", ")}`;
  }

  #table() {
    const { store } = this.#context;
    const chosen = store.token === null ? -1 : (store.map?.videoIndex[store.token] ?? -1);
    if (chosen >= 0) return this.#story.table(this.#kindKey);
    const lens = this.#index.at(store.shownLayer, this.#kindKey);
    const { map } = store;
    if (lens === undefined || map === null) return null;
    return {
      caption: `Top word of every video token after layer ${store.shownLayer + 1}`,
      columns: [
        { name: "Position" },
        { name: "frame" },
        { name: "row" },
        { name: "column" },
        { name: "word" },
        { name: "probability", format: percent },
      ],
      rows: Array.from(map.videoPositions, (position, token) => {
        const cell = map.cellAt(position);
        const [first] = this.#top(lens, token);
        return [
          position,
          (cell?.frame ?? 0) + 1,
          (cell?.row ?? 0) + 1,
          (cell?.column ?? 0) + 1,
          first?.[0] ?? null,
          first?.[1] ?? null,
        ];
      }),
    };
  }
}
