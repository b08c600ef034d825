import { DEFAULT_RANDOM_SEED } from "../../src/engine/experiments/presets.ts";
import type { ExperimentRequest, LayerRange } from "../../src/engine/jobs.ts";
import { bars } from "../bars.ts";
import type { Context, View } from "../context.ts";
import { el, fill, percent, setText, show } from "../dom.ts";
import { RangeSlider } from "../range-slider.ts";
import { runRecipe } from "../recipe.ts";
import { ScatterChart } from "../scatter-chart.ts";
import { Section } from "../section.ts";
import type { BranchResult, ExperimentState, Topic } from "../store.ts";

type PathwaysRequest = Extract<ExperimentRequest, { kind: "pathways" }>;
type Family = "crossFrame" | "videoToQuestion" | "questionToLast";

const FAMILIES: readonly { key: Family; title: string }[] = [
  { key: "crossFrame", title: "Cross-frame" },
  { key: "videoToQuestion", title: "Video → question" },
  { key: "questionToLast", title: "Question → last" },
];
/** Settings asked for less than this apart are merged: the last one counts. */
const PAUSE_MS = 60;

/** One setting that was run: what was kept, and what came of it. */
interface Trial {
  readonly experiment: ExperimentState;
  readonly ranges: Readonly<Record<Family, LayerRange | null>>;
  readonly edgesLeft: number;
  readonly kept: BranchResult;
  readonly random: BranchResult | undefined;
}

/** Keeps each edge family in a range of layers only, and shows what is left of the answer. */
export class PathwaysView implements View {
  readonly id = "pathways";
  readonly section: Section;
  readonly #context: Context;
  readonly #sliders = new Map<Family, RangeSlider>();
  readonly #result = el("div", { class: "stack", role: "status" });
  readonly #share = el("p");
  readonly #bars = el("div");
  readonly #scatter: ScatterChart;
  readonly #readOnly = el("p", { class: "note" });
  #ranges: Record<Family, LayerRange | null> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #running = false;
  #wanted = false;

  constructor(context: Context) {
    this.#context = context;
    this.section = new Section(context, "pathways", "Pathways", {
      evidence: "cause",
      exports: { table: () => this.#table(), drawing: () => this.#scatter.drawing() },
    });
    const sliders = el(
      "div",
      { class: "stack" },
      el("p", { class: "note" }, "Keep each family's edges in these layers only:"),
    );
    for (const { key, title } of FAMILIES) {
      const slider = new RangeSlider(title, (range) => this.#set(key, range), {
        optional: true,
      });
      this.#sliders.set(key, slider);
      sliders.append(slider.element);
    }
    this.#scatter = new ScatterChart(context, 190);
    this.#result.append(this.#share, this.#bars);
    this.section.body.append(
      this.#readOnly,
      sliders,
      this.#result,
      el("h3", {}, "Settings tried: edges left and probability kept"),
      this.#scatter.element,
    );
  }

  available(): boolean {
    const { store, identity } = this.#context;
    if (store.run === null || store.layerCount === 0) return false;
    return identity?.readOnly === null || this.#trials().length > 0;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) return;
    const { store, identity } = this.#context;
    const readOnly = identity?.readOnly ?? null;
    setText(this.#readOnly, readOnly ?? "");
    show(this.#readOnly, readOnly !== null);
    const trials = this.#trials();
    if (this.#ranges === null && store.layerCount > 0) {
      const all: LayerRange = [0, store.layerCount - 1];
      const last = trials.at(-1)?.ranges;
      this.#ranges = last ?? { crossFrame: all, videoToQuestion: all, questionToLast: all };
    }
    for (const { key } of FAMILIES) {
      const slider = this.#sliders.get(key);
      slider?.setLayers(store.layerCount);
      slider?.set(this.#ranges?.[key] ?? null);
      slider?.setEnabled(readOnly === null);
    }
    this.#renderResult(trials);
    this.section.setRecipe([
      "last → last and video → last cut at every layer; video → video after the video → question range, question → question after the question → last range",
      `random control: as many edges per layer, drawn among video … last, seed ${DEFAULT_RANDOM_SEED}`,
      ...runRecipe(store),
    ]);
    this.section.refresh();
  }

  #set(family: Family, range: LayerRange | null): void {
    if (this.#ranges === null) return;
    this.#ranges = { ...this.#ranges, [family]: range };
    this.#renderResult(this.#trials());
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), PAUSE_MS);
  }

  /** One request at a time; what was dragged meanwhile is asked for next. */
  async #ask(): Promise<void> {
    if (this.#running) {
      this.#wanted = true;
      return;
    }
    const ranges = this.#ranges;
    if (ranges === null || this.#match(this.#trials()) !== undefined) return;
    this.#running = true;
    this.#wanted = false;
    try {
      const request: PathwaysRequest = {
        kind: "pathways",
        randomSeed: DEFAULT_RANDOM_SEED,
        ...(ranges.crossFrame === null ? {} : { crossFrame: ranges.crossFrame }),
        ...(ranges.videoToQuestion === null ? {} : { videoToQuestion: ranges.videoToQuestion }),
        ...(ranges.questionToLast === null ? {} : { questionToLast: ranges.questionToLast }),
      };
      await this.#context.request("experiment", { request });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    } finally {
      this.#running = false;
      if (this.#wanted) void this.#ask();
    }
  }

  #trials(): Trial[] {
    const trials: Trial[] = [];
    for (const experiment of this.#context.store.experiments.values()) {
      if (experiment.kind !== "pathways") continue;
      const [first, second] = [...experiment.series.values()];
      const kept = first?.results[0];
      if (kept === undefined) continue;
      const range = (value: unknown): LayerRange | null =>
        Array.isArray(value) && value.length === 2 ? [Number(value[0]), Number(value[1])] : null;
      const { crossFrame, videoToQuestion, questionToLast, edgesLeft } = experiment.recipe;
      trials.push({
        experiment,
        ranges: {
          crossFrame: range(crossFrame),
          videoToQuestion: range(videoToQuestion),
          questionToLast: range(questionToLast),
        },
        edgesLeft: kept.edges_left ?? Number(edgesLeft),
        kept,
        random: second?.results[0],
      });
    }
    return trials;
  }

  #match(trials: readonly Trial[]): Trial | undefined {
    const wanted = JSON.stringify(this.#ranges);
    return trials.findLast(({ ranges }) => JSON.stringify(ranges) === wanted);
  }

  #renderResult(trials: readonly Trial[]): void {
    const { store } = this.#context;
    const trial = this.#match(trials);
    const clean = store.answer?.answer.probability;
    show(this.#result, clean !== undefined);
    const waiting = this.#running || this.#timer !== null;
    setText(
      this.#share,
      trial === undefined
        ? waiting
          ? "Computing …"
          : "Move a slider to cut the edges outside its range."
        : `${percent(trial.edgesLeft)} of the attention edges left; the answer is ${trial.kept.new_answer}, with the same edges cut at random ${trial.random?.new_answer ?? "not run"}.`,
    );
    this.#result.classList.toggle("stale", trial === undefined);
    fill(
      this.#bars,
      bars(
        [
          { name: "Clean run", value: clean ?? null, slot: 6 },
          { name: "Pathways kept", value: trial?.kept.new_score ?? null, slot: 0 },
          { name: "Random edges cut", value: trial?.random?.new_score ?? null, slot: 1 },
        ],
        "Probability of the clean answer",
      ),
    );
    this.#scatter.render({
      title: "Edges left and probability kept",
      xLabel: "attention edges left",
      yLabel: "p(clean answer)",
      format: percent,
      series: [
        {
          name: "Pathways kept",
          slot: 0,
          points: trials.map((t) => [t.edgesLeft, t.kept.new_score] as const),
        },
        {
          name: "Random edges cut",
          slot: 1,
          points: trials.flatMap((t) =>
            t.random === undefined ? [] : [[t.edgesLeft, t.random.new_score] as const],
          ),
        },
      ],
    });
  }

  #table() {
    const range = (value: LayerRange | null) =>
      value === null ? "none" : `${value[0] + 1}-${value[1] + 1}`;
    return {
      caption: "Settings tried",
      columns: [
        { name: "Cross-frame" },
        { name: "video → question" },
        { name: "question → last" },
        { name: "edges left", format: percent },
        { name: "p kept", format: percent },
        { name: "p random", format: percent },
        { name: "answer" },
        { name: "answer random" },
      ],
      rows: this.#trials().map(({ ranges, edgesLeft, kept, random }) => [
        range(ranges.crossFrame),
        range(ranges.videoToQuestion),
        range(ranges.questionToLast),
        edgesLeft,
        kept.new_score,
        random?.new_score ?? null,
        kept.new_answer,
        random?.new_answer ?? null,
      ]),
    };
  }
}
