import {
  descriptorOf,
  experimentVariant,
  recipePhrases,
} from "../../src/protocol/experiments/list.ts";

import { layerSpansText } from "../../src/protocol/experiments/parameters.ts";

import type { Context } from "../context.ts";
import { dropdown, radios } from "../controls.ts";
import { answerChange, change, el, fill, percent, show, visibleToken } from "../dom.ts";
import { LayerChart } from "../layer-chart.ts";
import { figureTable, type LineFigure } from "../line-figure.ts";
import { runRecipe } from "../recipe.ts";
import { Section, type View } from "../section.ts";
import type { BranchResult, ExperimentState, SeriesState, Topic } from "../store.ts";

/** Whose probability a change is taken of. */
type ScoreOf = "base" | "truth";

/** One curve family: the series of one knockout target within an experiment. */
/** An experiment whose series are swept over window centres. */
type SweepState = ExperimentState & { readonly kind: "knockout" | "keyword" | "exit" };

interface Sweep {
  readonly key: string;
  readonly title: string;
  readonly experiment: SweepState;
  readonly series: readonly SeriesState[];
}

const TITLES: Readonly<Record<string, string>> = {
  exit: "When the video is no longer needed",
  "cross-frame": "Cross-frame",
  "vql-to-ql": "Video and question to question and last",
  "question-and-options-to-last": "Question and options to last",
  "vq-to-true-opt": "Video and question to the true option",
};

/** Change of the answer's probability when attention edges are cut around each layer. */
export class KnockoutView implements View {
  readonly id = "knockout";
  readonly section: Section;
  readonly #context: Context;
  readonly #chart: LayerChart;
  readonly #empty = el("div", { class: "empty" });
  readonly #sweep;
  readonly #subject;

  constructor(context: Context) {
    this.#context = context;
    const { store } = context;
    this.section = new Section(context, "knockout", "Knockout sweep", {
      evidence: "cause",
      exports: {
        table: () => this.#table(),
        drawing: () => this.#chart.drawing(),
      },
    });
    this.#chart = new LayerChart(context, 260);
    this.#sweep = dropdown("Target", [], "", (value) => store.choose("knockout:sweep", value));
    this.#subject = radios(
      "Probability of",
      [
        { value: "base", text: "clean answer" },
        { value: "truth", text: "true answer" },
      ],
      this.#subjectChoice,
      (value) => store.choose("knockout:subject", value),
    );
    this.section.controls.append(this.#sweep.element, this.#subject.element);
    this.section.body.append(this.#empty, this.#chart.element);
  }

  get #subjectChoice(): ScoreOf {
    return this.#context.store.choice<string>("knockout:subject", "base") === "truth"
      ? "truth"
      : "base";
  }

  available(): boolean {
    const { store, identity } = this.#context;
    return store.run !== null && (this.#sweeps().length > 0 || identity?.readOnly === null);
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) {
      this.#chart.renderMarks();
      return;
    }
    const sweeps = this.#sweeps();
    const chosen = this.#chosen(sweeps);
    show(this.#chart.element, chosen !== undefined);
    show(this.#empty, chosen === undefined);
    show(this.section.controls, chosen !== undefined);
    if (chosen === undefined) {
      fill(this.#empty, el("p", {}, this.#emptyText()));
      this.section.setRecipe([]);
      this.section.refresh();
      return;
    }
    this.#sweep.setChoices(
      sweeps.map(({ key, title }) => ({ value: key, text: title })),
      chosen.key,
    );
    this.#subject.set(this.#subjectChoice);
    this.#chart.render(this.#figure(chosen));
    this.section.setRecipe([
      "edges set to the lowest score before the softmax, in every head",
      ...recipePhrases(chosen.experiment),
      ...runRecipe(this.#context.store),
    ]);
    this.section.refresh();
  }

  #emptyText(): string {
    const running = this.#context.store.engine.kind === "running";
    return running
      ? "The sweep starts after the clean pass."
      : "This run holds no knockout sweep. Start one with “Flowprobe: Knockout Sweep”.";
  }

  /** Knockout experiments of the run, split by target. */
  #sweeps(): Sweep[] {
    const sweeps: Sweep[] = [];
    for (const experiment of this.#context.store.experiments.values()) {
      if (!isSweep(experiment)) continue;
      const byTarget = new Map<string, SeriesState[]>();
      for (const series of experiment.series.values()) {
        const target = targetOf(experiment, series);
        const list = byTarget.get(target);
        if (list === undefined) byTarget.set(target, [series]);
        else list.push(series);
      }
      for (const [target, series] of byTarget) {
        sweeps.push({
          key: `${experiment.id}/${target}`,
          title: TITLES[target] ?? target,
          experiment,
          series,
        });
      }
    }
    return withDifferentTitles(sweeps);
  }

  #chosen(sweeps: readonly Sweep[]): Sweep | undefined {
    const key = this.#context.store.choice("knockout:sweep", "");
    // What was asked last is what its user waits for.
    const newest = sweeps.at(-1)?.experiment;
    return (
      sweeps.find((sweep) => sweep.key === key) ??
      sweeps.find(({ experiment }) => experiment === newest)
    );
  }

  #figure(sweep: Sweep): LineFigure {
    const { store } = this.#context;
    const layers = store.layerCount;
    const subject = this.#subjectChoice;
    const value = (result: BranchResult | undefined) =>
      result === undefined
        ? null
        : subject === "base"
          ? result.relative_diff
          : result.relative_diff_gt;
    return {
      title: `Knockout sweep: ${sweep.title}`,
      yLabel: `% change of p(${subject === "base" ? "clean answer" : "true answer"})`,
      layers,
      format: change,
      series: sweep.series.map((series, slot) => ({
        name: series.name,
        slot,
        values: Array.from({ length: layers }, (_, layer) => value(series.byLayer.get(layer))),
      })),
      details: (layer) =>
        sweep.series.flatMap((series) => {
          const result = series.byLayer.get(layer);
          if (result === undefined || result.new_answer === result.base_answer) return [];
          return [`${series.name}: ${answerChange(result.base_answer, result.new_answer)}`];
        }),
      window: (layer) =>
        sweep.series.find((series) => series.byLayer.has(layer))?.byLayer.get(layer)?.window ?? [],
    };
  }

  #table() {
    const sweep = this.#chosen(this.#sweeps());
    if (sweep === undefined) return null;
    const figure = this.#figure(sweep);
    const table = figureTable(figure);
    return {
      caption: `${table.caption}; the new answer's probability, and its token where it differs`,
      columns: [
        ...table.columns,
        ...sweep.series.flatMap(({ name }) => [
          { name: `${name}: p`, format: percent },
          { name: `${name}: answer` },
        ]),
        { name: "cut at" },
      ],
      rows: table.rows.map((row) => {
        const layer = Number(row[0]) - 1;
        const results = sweep.series.map((series) => series.byLayer.get(layer));
        return [
          ...row,
          ...results.flatMap((result) => [
            (this.#subjectChoice === "base" ? result?.new_score : result?.new_score_gt) ?? null,
            result === undefined ? null : visibleToken(result.new_answer),
          ]),
          layerSpansText(figure.window?.(layer) ?? []),
        ];
      }),
    };
  }
}

/** Whether an experiment's results are one curve a series. */
function isSweep(experiment: ExperimentState): experiment is SweepState {
  return descriptorOf(experiment.kind).layout === "series-by-layer";
}

/** Sweeps of one title are told apart by their settings, and those of the same settings by number. */
function withDifferentTitles(sweeps: readonly Sweep[]): Sweep[] {
  const named = sweeps.map((sweep) =>
    sweeps.filter(({ title }) => title === sweep.title).length > 1
      ? { ...sweep, title: `${sweep.title} (${experimentVariant(sweep.experiment)})` }
      : sweep,
  );
  const seen = new Map<string, number>();
  return named.map((sweep) => {
    const number = (seen.get(sweep.title) ?? 0) + 1;
    seen.set(sweep.title, number);
    return number === 1 ? sweep : { ...sweep, title: `${sweep.title}, ${number}` };
  });
}

/** The target a series belongs to: said by its results, or by the experiment when it has only one. */
function targetOf({ kind, recipe }: SweepState, series: SeriesState): string {
  const said = series.results[0]?.detail?.target;
  if (said !== undefined) return said;
  const [only, ...more] = kind === "knockout" ? recipe.targets : [];
  return only !== undefined && more.length === 0 ? only : kind;
}
