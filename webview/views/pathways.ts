import { recipePhrases } from "../../src/protocol/experiments/list.ts";
import type {
  ExperimentRequest,
  LayerRange,
  NamedRanges,
} from "../../src/protocol/experiments/schemas.ts";
import { DEFAULT_RANDOM_SEED } from "../../src/protocol/presets.ts";
import { bars } from "../bars.ts";
import type { Context } from "../context.ts";
import { el, fill, percent, setText, show, visibleToken } from "../dom.ts";
import { pathwayFigure } from "../pathway-figure.ts";
import {
  FAMILIES,
  type Family,
  rangeText,
  searchesOf,
  type Trial,
  trialsOf,
} from "../pathway-trials.ts";
import { RangeSlider } from "../range-slider.ts";
import { runRecipe } from "../recipe.ts";
import { ScatterChart } from "../scatter-chart.ts";
import { Section, type View } from "../section.ts";
import type { Topic } from "../store.ts";
import { PathwayFinder } from "./pathway-finder.ts";

type PathwaysRequest = Extract<ExperimentRequest, { kind: "pathways" }>;

/** Settings asked for less than this apart are merged: the last one counts. */
const PAUSE_MS = 60;

const ORIGINS = { chosen: "sliders", tried: "search", found: "found by the search" } as const;

/** What is left of the attention and of the answer, and of the answer under the random control. */
function keptText({ edgesLeft, kept, random }: Trial): string {
  const left = `${percent(edgesLeft)} of the attention edges are left; the answer is “${visibleToken(kept.new_answer)}”`;
  return random === undefined
    ? `${left}. The random control was not run.`
    : `${left}, and “${visibleToken(random.new_answer)}” where as many edges are cut at random.`;
}

/** Keeps each edge family in a range of layers only, and shows what is left of the answer. */
export class PathwaysView implements View {
  readonly id = "pathways";
  readonly section: Section;
  readonly #context: Context;
  readonly #finder: PathwayFinder;
  readonly #sliders = new Map<Family, RangeSlider>();
  readonly #result = el("div", { class: "stack", role: "status" });
  readonly #share = el("p");
  readonly #bars = el("div");
  readonly #scatter: ScatterChart;
  readonly #curve = el("div", { class: "stack" });
  readonly #readOnly = el("p", { class: "note" });
  #ranges: NamedRanges | null = null;
  /** The search whose finding the sliders have been set to. */
  #followed: string | undefined;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #running = false;
  #wanted = false;

  constructor(context: Context) {
    this.#context = context;
    this.section = new Section(context, "pathways", "Pathways", {
      evidence: "cause",
      exports: { table: () => this.#table(), drawing: () => this.#scatter.drawing() },
    });
    this.#finder = new PathwayFinder(context);
    const sliders = el(
      "div",
      { class: "stack" },
      el("p", { class: "note" }, "Keep each family's edges in these layers only:"),
    );
    for (const { key, title } of FAMILIES) {
      const slider = new RangeSlider(title, (range) => this.#set(key, range), { optional: true });
      this.#sliders.set(key, slider);
      sliders.append(slider.element);
    }
    this.#scatter = new ScatterChart(context, 240);
    this.#curve.append(el("h3", {}, "Edges left and probability kept"), this.#scatter.element);
    this.#result.append(this.#share, this.#bars);
    this.section.body.append(
      this.#readOnly,
      sliders,
      this.#result,
      this.#finder.element,
      this.#curve,
    );
  }

  available(): boolean {
    const { store, identity } = this.#context;
    if (store.run === null || store.layerCount === 0) return false;
    return identity?.readOnly === null || trialsOf(store).length > 0;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) return;
    this.#finder.render();
    if (changed.size === 1 && changed.has("progress")) return;
    const { store, identity } = this.#context;
    const readOnly = identity?.readOnly ?? null;
    setText(this.#readOnly, readOnly ?? "");
    show(this.#readOnly, readOnly !== null);
    const trials = trialsOf(store);
    this.#follow(trials);
    for (const { key } of FAMILIES) {
      const slider = this.#sliders.get(key);
      slider?.setLayers(store.layerCount);
      slider?.set(this.#ranges?.[key] ?? null);
      slider?.setEnabled(readOnly === null);
    }
    this.#renderResult(trials);
    const found = searchesOf(store).at(-1);
    this.section.setRecipe([
      "last → last and video → last cut at every layer; video → video after the video → question range, question → question after the question → last range",
      `random control: as many edges per layer, drawn among video … last, seed ${DEFAULT_RANDOM_SEED}`,
      ...(found === undefined ? [] : [`search: ${recipePhrases(found).join(", ")}`]),
      ...runRecipe(store),
    ]);
    this.section.refresh();
  }

  /** Sets the sliders to begin with, and to what a search has found since. */
  #follow(trials: readonly Trial[]): void {
    const { store } = this.#context;
    if (store.layerCount === 0) return;
    const found = searchesOf(store).findLast(
      ({ search }) => search !== null && search.found !== null,
    );
    if (this.#ranges === null) {
      const all = (): [number, number] => [0, store.layerCount - 1];
      const whole = { crossFrame: all(), videoToQuestion: all(), questionToLast: all() };
      this.#ranges = trials.at(-1)?.ranges ?? whole;
    } else if (found !== undefined && found.id !== this.#followed) {
      this.#ranges = trials.findLast(({ origin }) => origin === "found")?.ranges ?? this.#ranges;
    }
    this.#followed = found?.id;
  }

  #set(family: Family, range: LayerRange | null): void {
    if (this.#ranges === null) return;
    this.#ranges = { ...this.#ranges, [family]: range };
    this.#renderResult(trialsOf(this.#context.store));
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#ask();
    }, PAUSE_MS);
  }

  /** Sets the sliders to a point of the chart; its control is run when it has none. */
  #choose({ ranges }: Trial): void {
    this.#ranges = ranges;
    for (const { key } of FAMILIES) this.#sliders.get(key)?.set(ranges[key]);
    this.#renderResult(trialsOf(this.#context.store));
    if (this.#context.identity?.readOnly === null) void this.#ask();
  }

  /** One request at a time; what was dragged meanwhile is asked for next. */
  async #ask(): Promise<void> {
    if (this.#running) {
      this.#wanted = true;
      return;
    }
    const ranges = this.#ranges;
    if (ranges === null) return;
    if (this.#match(trialsOf(this.#context.store))?.random !== undefined) return;
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

  /** The trial of the sliders' setting; one with its random control, when there is one. */
  #match(trials: readonly Trial[]): Trial | undefined {
    const wanted = JSON.stringify(this.#ranges);
    const same = trials.filter(({ ranges }) => JSON.stringify(ranges) === wanted);
    return same.findLast(({ random }) => random !== undefined) ?? same.at(-1);
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
        : keptText(trial),
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
    show(this.#curve, trials.length > 0);
    const search = searchesOf(store).at(-1);
    const keepShare = search?.recipe.keepShare;
    this.#scatter.render(pathwayFigure(trials, keepShare, (chosen) => this.#choose(chosen)));
  }

  #table() {
    return {
      caption: "Pathways tried",
      columns: [
        { name: "Cross-frame" },
        { name: "video → question" },
        { name: "question → last" },
        { name: "edges left", format: percent },
        { name: "p kept", format: percent },
        { name: "p random", format: percent },
        { name: "answer" },
        { name: "answer random" },
        { name: "kept of clean", format: percent },
        { name: "chosen by" },
      ],
      rows: trialsOf(this.#context.store).map(
        ({ origin, ranges, edgesLeft, share, kept, random }) => [
          rangeText(ranges.crossFrame),
          rangeText(ranges.videoToQuestion),
          rangeText(ranges.questionToLast),
          edgesLeft,
          kept.new_score,
          random?.new_score ?? null,
          kept.new_answer,
          random?.new_answer ?? null,
          share,
          ORIGINS[origin],
        ],
      ),
    };
  }
}
