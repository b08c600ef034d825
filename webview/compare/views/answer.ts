import {
  type AnswerSubject,
  compareAnswers,
  usualSubject,
} from "../../../src/runs/comparison/compare.ts";
import { dropdown, radios } from "../../controls.ts";
import { el, percent, show } from "../../dom.ts";
import { LayerChart } from "../../layer-chart.ts";
import type { LineFigure } from "../../line-figure.ts";
import { Section, type View } from "../../section.ts";
import type { Topic } from "../../selection.ts";
import { stacked } from "../../stacked.ts";
import type { DataTable } from "../../table.ts";
import { optionText } from "../answer-text.ts";
import { type CompareContext, compareRecipe, points } from "../compare-context.ts";
import { MissingNote } from "../missing-note.ts";

const TRUTH = "each run's true option";

/** The answer's probability by layer, all runs on one axis, and the differences to the first. */
export class CompareAnswerView implements View {
  readonly id = "compare-answer";
  readonly section: Section;
  readonly #context: CompareContext;
  readonly #chart: LayerChart;
  readonly #differences: LayerChart;
  readonly #differencesBox: HTMLElement;
  readonly #missing: MissingNote;
  readonly #reading;
  readonly #subject;

  constructor(context: CompareContext) {
    this.#context = context;
    const { store } = context;
    this.section = new Section(context, this.id, "Answer by layer", {
      evidence: "correlation",
      exports: {
        table: () => this.#table(),
        drawing: () => stacked([this.#chart.drawing(), this.#differences.drawing()]),
      },
    });
    this.#chart = new LayerChart(context, 220);
    this.#differences = new LayerChart(context, 220);
    this.#differencesBox = el(
      "div",
      {},
      el("h3", {}, "Difference to run 1"),
      this.#differences.element,
    );
    this.#missing = new MissingNote(context, "answer");
    this.#reading = radios(
      "Reading of a layer",
      [
        { value: "normed", text: "with final norm" },
        { value: "raw", text: "raw" },
      ],
      this.#variant,
      (value) => store.choose("compare:reading", value),
    );
    this.#subject = dropdown("Probability of", [], "", (value) =>
      store.choose("compare:subject", value),
    );
    this.section.controls.append(this.#subject.element, this.#reading.element);
    this.section.body.append(
      this.#missing.element,
      el(
        "div",
        { class: "pair charts" },
        el("div", {}, el("h3", {}, "Probability"), this.#chart.element),
        this.#differencesBox,
      ),
    );
  }

  get #variant(): "normed" | "raw" {
    return this.#context.store.choice<string>("compare:reading", "normed") === "raw"
      ? "raw"
      : "normed";
  }

  /** Answers that can be followed: the true options, and those that mean the same in all runs. */
  #subjects(): {
    readonly value: string;
    readonly text: string;
    readonly subject: AnswerSubject;
  }[] {
    const { facts } = this.#context.store;
    const usual = usualSubject(facts);
    const [first] = facts;
    const options = first?.prompt.options ?? [];
    const texts = (run: (typeof facts)[number]) =>
      run.prompt.options.map(({ label, text }) => `${label} ${text}`).join("\n");
    const shared = first !== undefined && facts.every((run) => texts(run) === texts(first));
    const said = [...new Set(facts.map(({ answer }) => answer?.token.trim() ?? ""))].filter(
      (token) => token !== "",
    );
    const tokens = shared && options.length > 0 ? options.map(({ label }) => label) : said;
    return [
      ...(usual.kind === "truth" ? [{ value: "truth", text: TRUTH, subject: usual }] : []),
      ...tokens.map((token) => ({
        value: `token:${token}`,
        text: first === undefined ? token : optionText(first, token),
        subject: { kind: "token", token } as const,
      })),
    ];
  }

  #chosen() {
    const subjects = this.#subjects();
    const key = this.#context.store.choice("compare:subject", "");
    return subjects.find(({ value }) => value === key) ?? subjects[0];
  }

  available(): boolean {
    return this.#context.store.facts.length > 1;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) {
      this.#chart.renderMarks();
      this.#differences.renderMarks();
      return;
    }
    const { store } = this.#context;
    const chosen = this.#chosen();
    this.#subject.setChoices(this.#subjects(), chosen?.value ?? "");
    this.#reading.set(this.#variant);
    this.#missing.render();
    const { probability, difference } = this.#figures();
    this.#chart.render(probability);
    show(this.#differencesBox, difference.series.length > 0);
    this.#differences.render(difference);
    this.section.setRecipe([
      "query: last position",
      this.#variant === "normed"
        ? "final norm, then output head, softmax over the whole vocabulary"
        : "output head without the final norm, softmax over the whole vocabulary",
      ...compareRecipe(store),
    ]);
    this.section.refresh();
  }

  #lines() {
    const { store } = this.#context;
    const subject = this.#chosen()?.subject ?? usualSubject(store.facts);
    return compareAnswers(store.facts, store.alignment, subject, this.#variant);
  }

  #figures(): { probability: LineFigure; difference: LineFigure } {
    const { store } = this.#context;
    const { values, differences } = this.#lines();
    const name = this.#chosen()?.text ?? "answer";
    const common = {
      layers: store.layerCount,
      details: (layer: number) => store.layerDetails(layer),
    };
    const series = (lines: typeof values, naming: (run: number) => string) =>
      lines.flatMap((line, slot) =>
        line === null ? [] : [{ name: naming(slot), slot, values: line }],
      );
    return {
      probability: {
        ...common,
        title: `Answer by layer: ${name}`,
        yLabel: "probability",
        min: 0,
        max: 1,
        format: percent,
        series: series(values, (run) => store.names[run] ?? ""),
      },
      difference: {
        ...common,
        title: `Answer by layer, difference to run 1: ${name}`,
        yLabel: "percentage points",
        format: (value) => points(100 * value),
        series: series(differences, (run) => `run ${run + 1} − run 1`),
      },
    };
  }

  #table(): DataTable {
    const { store } = this.#context;
    const { values, differences } = this.#lines();
    const others = differences.map((_, run) => run).slice(1);
    return {
      caption: `Probability of ${this.#chosen()?.text ?? "the answer"} after each layer`,
      columns: [
        { name: "Layer" },
        ...store.names.map((name) => ({ name, format: percent })),
        ...others.map((run) => ({
          name: `run ${run + 1} − run 1`,
          format: (value: number) => points(100 * value),
        })),
        ...(store.alignment.relative ? [{ name: "own layers" }] : []),
      ],
      rows: Array.from({ length: store.layerCount }, (_, layer) => [
        layer + 1,
        ...values.map((line) => line?.[layer] ?? null),
        ...others.map((run) => differences[run]?.[layer] ?? null),
        ...(store.alignment.relative
          ? [store.facts.map((_, run) => store.ownLayer(run, layer)).join(" / ")]
          : []),
      ]),
    };
  }
}
