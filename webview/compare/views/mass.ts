import { compareMass, massQueries } from "../../../src/runs/comparison/compare.ts";
import { dropdown } from "../../controls.ts";
import { el, percent, show } from "../../dom.ts";
import { Section, type View } from "../../section.ts";
import type { Topic } from "../../selection.ts";
import { type CompareContext, compareRecipe, points } from "../compare-context.ts";
import { MissingNote } from "../missing-note.ts";
import { Multiples } from "../multiples.ts";
import { differenceNote } from "../multiples-drawing.ts";
import { type MultiplesFigure, multiplesTable } from "../multiples-figure.ts";

const sharePoints = (value: number) => points(100 * value);

/** Attention that a token group gives to each part of the prompt, by layer, in every run. */
export class CompareMassView implements View {
  readonly id = "compare-mass";
  readonly section: Section;
  readonly #context: CompareContext;
  readonly #multiples: Multiples;
  readonly #missing: MissingNote;
  readonly #empty = el(
    "p",
    { class: "empty" },
    "None of these runs holds attention by token group.",
  );
  readonly #query;

  constructor(context: CompareContext) {
    this.#context = context;
    this.section = new Section(context, this.id, "Attention by token group", {
      evidence: "correlation",
      exports: {
        table: () => multiplesTable(this.#figure()),
        drawing: () => this.#multiples.drawing(),
      },
    });
    this.#multiples = new Multiples(context);
    this.#missing = new MissingNote(context, "mass");
    this.#query = dropdown("Attention of", [], "", (value) =>
      context.store.choose("compare:query", value),
    );
    this.section.controls.append(this.#query.element);
    this.section.body.append(this.#empty, this.#missing.element, this.#multiples.element);
  }

  available(): boolean {
    return this.#context.store.facts.length > 1;
  }

  get #queryChoice(): string {
    const queries = massQueries(this.#context.store.facts);
    const chosen = this.#context.store.choice("compare:query", "last");
    return queries.includes(chosen) ? chosen : (queries.at(-1) ?? "");
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) {
      this.#multiples.renderMarks();
      return;
    }
    const { store } = this.#context;
    const queries = massQueries(store.facts);
    this.#query.setChoices(
      queries.map((name) => ({ value: name, text: name })),
      this.#queryChoice,
    );
    this.#missing.render();
    show(this.#empty, queries.length === 0);
    show(this.section.controls, queries.length > 0);
    show(this.#multiples.element, queries.length > 0);
    this.#multiples.render(this.#figure());
    this.section.setRecipe(
      queries.length === 0
        ? []
        : [
            `query group ${this.#queryChoice}, mean over its positions and over all heads`,
            "share of the attention after the softmax",
            ...compareRecipe(store),
          ],
    );
    this.section.refresh();
  }

  #figure(): MultiplesFigure {
    const { store } = this.#context;
    const query = this.#queryChoice;
    return {
      title: `Attention of ${query} by token group`,
      yLabel: "share of attention",
      layers: store.layerCount,
      runs: store.names,
      format: percent,
      formatDifference: sharePoints,
      details: (layer) => store.layerDetails(layer),
      cells: compareMass(store.facts, store.alignment, query).map((lines) => ({
        ...lines,
        name: `to ${lines.name}`,
        note: differenceNote(lines.differences, sharePoints),
      })),
    };
  }
}
