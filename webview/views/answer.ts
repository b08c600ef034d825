import type { AnswerReading } from "../../src/protocol/events.ts";
import { answerProbability } from "../../src/runs/state.ts";
import type { Context } from "../context.ts";
import { radios } from "../controls.ts";
import { percent, visibleToken } from "../dom.ts";
import { LayerChart } from "../layer-chart.ts";
import { figureTable, type LineFigure, type LineSeries } from "../line-figure.ts";
import { runRecipe } from "../recipe.ts";
import { Section, type View } from "../section.ts";
import type { Topic } from "../store.ts";

const TOP_SHOWN = 5;
/** Above this probability the axis spans all of 0 … 100 %. */
const FULL_SCALE_FROM = 0.4;

/** Probability of every option at every layer, read at the last position with the logit lens. */
export class AnswerView implements View {
  readonly id = "answer";
  readonly section: Section;
  readonly #context: Context;
  readonly #chart: LayerChart;
  readonly #reading;
  /** Called once, when the chart shows its first layer. */
  #onChart: (() => void) | null;

  constructor(context: Context, onChart: () => void) {
    this.#context = context;
    this.#onChart = onChart;
    this.section = new Section(context, "answer", "Answer by layer", {
      evidence: "correlation",
      exports: {
        table: () => this.#table(),
        drawing: () => this.#chart.drawing(),
      },
    });
    this.#chart = new LayerChart(context, 230);
    this.#reading = radios(
      "Reading of a layer",
      [
        { value: "normed", text: "with final norm" },
        { value: "raw", text: "raw" },
      ],
      this.#variant,
      (value) => context.store.choose("answer:reading", value),
    );
    this.section.controls.append(this.#reading.element);
    this.section.body.append(this.#chart.element);
  }

  get #variant(): "normed" | "raw" {
    return this.#context.store.choice<string>("answer:reading", "normed") === "raw"
      ? "raw"
      : "normed";
  }

  available(): boolean {
    return this.#context.store.run !== null;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) {
      this.#chart.renderMarks();
      return;
    }
    this.#reading.set(this.#variant);
    this.#chart.render(this.#figure());
    const { store } = this.#context;
    this.section.setRecipe([
      "query: last position",
      this.#variant === "normed"
        ? "final norm, then output head, softmax over the whole vocabulary"
        : "output head without the final norm, softmax over the whole vocabulary",
      "all heads",
      ...runRecipe(store),
    ]);
    this.section.refresh();
    if (this.#onChart === null || store.layers.every((layer) => layer === undefined)) return;
    this.#onChart();
    this.#onChart = null;
  }

  #at(layer: number): AnswerReading | undefined {
    return this.#context.store.layers[layer]?.[this.#variant];
  }

  #figure(): LineFigure {
    const { store } = this.#context;
    const layers = store.layerCount;
    const options = store.run?.prompt.options ?? [];
    const truth = store.run?.prompt.answer;
    const series: LineSeries[] = options.map((option, slot) => ({
      name: `(${option.label}) ${option.text}${option.label === truth ? ", true" : ""}`,
      slot,
      emphasised: option.label === truth,
      values: Array.from({ length: layers }, (_, layer) => {
        const reading = this.#at(layer);
        return reading === undefined ? null : answerProbability(reading, option);
      }),
    }));
    // An open-ended prompt has no options: the clean run's answer token is followed instead.
    const { answer } = store;
    if (options.length === 0 && answer !== null) {
      series.push({
        name: visibleToken(answer.answer.token),
        slot: 0,
        emphasised: true,
        values: Array.from({ length: layers }, (_, layer) => {
          const reading = this.#at(layer);
          return reading === undefined ? null : answerProbability(reading, answer.answer);
        }),
      });
    }
    return {
      title: "Answer by layer",
      yLabel: "probability",
      layers,
      series,
      min: 0,
      // Small probabilities keep a scale on which they can be told apart.
      ...(series.some(({ values }) => values.some((p) => (p ?? 0) > FULL_SCALE_FROM))
        ? { max: 1 }
        : {}),
      format: percent,
      details: (layer) => {
        const top = this.#at(layer)?.top ?? [];
        if (top.length === 0) return [];
        const words = top
          .slice(0, TOP_SHOWN)
          .map(({ token, probability }) => `${visibleToken(token)} ${percent(probability)}`);
        return [`likeliest: ${words.join(", ")}`];
      },
    };
  }

  #table() {
    const table = figureTable(this.#figure());
    return {
      ...table,
      columns: [...table.columns, { name: "likeliest tokens" }],
      rows: table.rows.map((row) => {
        const top = this.#at(Number(row[0]) - 1)?.top ?? [];
        const words = top
          .slice(0, TOP_SHOWN)
          .map(({ token, probability }) => `${visibleToken(token)} ${percent(probability)}`);
        return [...row, words.join(", ")];
      }),
    };
  }
}
