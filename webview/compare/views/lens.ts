import { type ComparedWords, compareWords, wordLists } from "../../../src/runs/comparison/words.ts";
import { textField } from "../../controls.ts";
import { el, percent, show } from "../../dom.ts";
import { Section, type View } from "../../section.ts";
import type { Topic } from "../../selection.ts";
import { type CompareContext, compareRecipe, points } from "../compare-context.ts";
import { MissingNote } from "../missing-note.ts";
import { Multiples } from "../multiples.ts";
import { type MultiplesFigure, multiplesTable } from "../multiples-figure.ts";
import { SPATIAL_KEY, TEMPORAL_KEY, wordChoice, wordTexts } from "../word-choice.ts";

/** When the answer's word, spatial and temporal words appear among the video's tokens. */
export class CompareLensView implements View {
  readonly id = "compare-lens";
  readonly section: Section;
  readonly #context: CompareContext;
  readonly #multiples: Multiples;
  readonly #missing: MissingNote;
  readonly #spatial;
  readonly #temporal;
  readonly #empty = el(
    "p",
    { class: "empty" },
    "None of these runs holds a logit lens of its video tokens. Open a run: its lens view reads it.",
  );

  constructor(context: CompareContext) {
    this.#context = context;
    const { store } = context;
    this.section = new Section(context, this.id, "Words in the logit lens", {
      evidence: "correlation",
      exports: {
        table: () => multiplesTable(this.#figure()),
        drawing: () => this.#multiples.drawing(),
      },
    });
    this.#multiples = new Multiples(context);
    this.#missing = new MissingNote(context, "lens");
    const field = (label: string, key: string) =>
      textField(label, label, (value) => store.choose(key, value));
    this.#spatial = field("Spatial words", SPATIAL_KEY);
    this.#temporal = field("Temporal words", TEMPORAL_KEY);
    this.section.controls.append(
      el("label", { class: "field grow" }, el("span", {}, "Spatial"), this.#spatial.element),
      el("label", { class: "field grow" }, el("span", {}, "Temporal"), this.#temporal.element),
    );
    this.section.body.append(this.#empty, this.#missing.element, this.#multiples.element);
  }

  available(): boolean {
    return this.#context.store.facts.length > 1;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) {
      this.#multiples.renderMarks();
      return;
    }
    const { store } = this.#context;
    const texts = wordTexts(store);
    this.#spatial.set(texts.spatial);
    this.#temporal.set(texts.temporal);
    this.#missing.render();
    const read = store.facts.some(({ lens }) => lens !== null);
    show(this.#empty, !read);
    show(this.section.controls, read);
    show(this.#multiples.element, read);
    if (read) this.#multiples.render(this.#figure());
    this.section.setRecipe(
      read
        ? [
            "share of the video tokens whose likeliest word is one of the list, whole tokens in lower case",
            "the large point marks the first layer at which one is",
            ...this.#readings(),
            ...compareRecipe(store),
          ]
        : [],
    );
    this.section.refresh();
  }

  /** How the runs were read: once where all were read alike. */
  #readings(): string[] {
    const kinds = this.#context.store.facts.flatMap(({ lens }, run) =>
      lens === null
        ? []
        : [
            {
              run,
              text: `${lens.norm ? "final norm" : "no norm"}, ${lens.unembedding === "head" ? "output head" : "input embedding"}`,
            },
          ],
    );
    if (new Set(kinds.map(({ text }) => text)).size === 1)
      return kinds.slice(0, 1).map((k) => k.text);
    return kinds.map(({ run, text }) => `run ${run + 1} was read with ${text}`);
  }

  #figure(): MultiplesFigure {
    const { store } = this.#context;
    return {
      title: "Words in the logit lens",
      yLabel: "share of video tokens",
      layers: store.layerCount,
      runs: store.names,
      format: percent,
      formatDifference: (value) => points(100 * value),
      details: (layer) => store.layerDetails(layer),
      cells: wordLists(store.facts, wordChoice(store)).map((list) => {
        const found = compareWords(store.facts, store.alignment, list);
        return {
          ...found,
          name: nameOf(found),
          note: this.#note(found),
          marks: found.first.map((layer, run) => this.#onAxis(run, layer)),
        };
      }),
    };
  }

  /** The layer of the common axis at which a run's own layer stands first. */
  #onAxis(run: number, layer: number | null): number | null {
    if (layer === null) return null;
    const at = this.#context.store.alignment.own[run]?.indexOf(layer) ?? -1;
    return at < 0 ? null : at;
  }

  #note({ first }: ComparedWords): string {
    const { facts } = this.#context.store;
    const said = first.map((layer, run) => {
      if (facts[run]?.lens == null) return "not read";
      return layer === null ? "never" : `layer ${layer + 1}`;
    });
    return `first at ${said.map((text, run) => `${run + 1}: ${text}`).join(" · ")}`;
  }
}

/** "right answer's word: up", with the words where they are few. */
function nameOf({ name, words }: ComparedWords): string {
  if (!name.includes("answer")) return name;
  const texts = [...new Set(words.map((list) => list.join(" ")))].filter((text) => text !== "");
  return `${name}: ${texts.join(" / ")}`;
}
