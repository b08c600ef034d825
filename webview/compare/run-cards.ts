import { gridInWords } from "../../src/protocol/grid.ts";
import type { RunFacts } from "../../src/runs/comparison/facts.ts";
import type { ComparedRun } from "../../src/runs/comparison/panel-protocol.ts";
import { badge, button } from "../controls.ts";
import { el, fill, onWidth, percent } from "../dom.ts";
import { penOn } from "../pen.ts";
import { SHAPES } from "../theme.ts";
import { optionText } from "./answer-text.ts";
import type { CompareContext } from "./compare-context.ts";

/** Most frames pictured in a card; of more, evenly chosen ones. */
const MAX_FRAMES = 8;
const FRAME_GAP = 3;

/** A card for each run: its number, model, clip, frames as they were shown, question and answer. */
export class RunCards {
  readonly element = el("div", { class: "cards" });
  readonly #context: CompareContext;
  #strips: (() => void)[] = [];

  constructor(context: CompareContext) {
    this.#context = context;
    onWidth(this.element, () => this.drawFrames());
  }

  render(): void {
    const { store } = this.#context;
    this.#strips = [];
    const focused = this.element.contains(document.activeElement)
      ? document.activeElement?.getAttribute("data-key")
      : null;
    let number = 0;
    fill(
      this.element,
      ...store.runs.map((run) => {
        if (run.facts === null) return unreadable(run);
        number += 1;
        return this.#card(run, run.facts, number - 1);
      }),
    );
    if (focused != null) {
      this.element.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
    requestAnimationFrame(() => this.drawFrames());
  }

  /** Draws the frames' pictures anew, when they are decoded or the cards have another width. */
  drawFrames(): void {
    for (const draw of this.#strips) draw();
  }

  #card(run: ComparedRun, facts: RunFacts, index: number): HTMLElement {
    const { store } = this.#context;
    const { model, video, grid, answer } = facts;
    const name = store.names[index] ?? "";
    const label = `Run ${index + 1}`;
    const open = button("Open", () => void this.#open(run.id), { label: `${label}: open` });
    open.dataset.key = `open:${run.id}`;
    const first =
      index === 0
        ? null
        : button("Compare others to this", () => store.putFirst(run.id), {
            label: `${label}: put it first, so that the others are compared with it`,
          });
    if (first !== null) first.dataset.key = `first:${run.id}`;
    return el(
      "article",
      { class: `card s-border${(index % SHAPES.length) + 1}`, "aria-label": name },
      el(
        "div",
        { class: "card-head" },
        el(
          "span",
          { class: `run-number s${(index % SHAPES.length) + 1}` },
          el("span", {
            class: `swatch shape-${SHAPES[index % SHAPES.length] ?? "circle"}`,
            "aria-hidden": "true",
          }),
          label,
        ),
        el("strong", {}, model.name),
        model.embedded ? badge("embedded") : null,
        badge(video.order === null ? "frames as filmed" : `frames ${video.order}`),
      ),
      this.#strip(run),
      el("p", { class: "card-question" }, facts.prompt.question),
      el(
        "p",
        { class: "card-answer" },
        answer === null
          ? el("span", { class: "muted" }, "no answer yet")
          : el("strong", {}, optionText(facts, answer.token)),
        answer === null ? null : el("span", { class: "probability" }, percent(answer.probability)),
        answer === null ? null : verdict(facts),
      ),
      el(
        "p",
        { class: "muted card-facts" },
        `${fileName(video.path)} · ${model.layers} layers · ${gridInWords(grid)}${facts.status === "done" ? "" : ` · ${facts.status}`}`,
      ),
      el("div", { class: "card-actions" }, open, first),
    );
  }

  #strip(run: ComparedRun): HTMLElement | null {
    if (run.frames.length === 0) return null;
    const canvas = el("canvas", {
      class: "card-frames",
      role: "img",
      "aria-label": `${run.frames.length} sampled frames in the order in which the model was shown them`,
    });
    this.#strips.push(() => this.#drawStrip(canvas, run));
    return canvas;
  }

  #drawStrip(canvas: HTMLCanvasElement, run: ComparedRun): void {
    const images = this.#context.pictures(run.id);
    const count = Math.min(MAX_FRAMES, run.frames.length);
    const chosen = Array.from({ length: count }, (_, i) =>
      images.at(Math.floor(((i + 0.5) * run.frames.length) / count)),
    );
    const sample = chosen.find((picture) => picture !== null);
    const width = canvas.parentElement?.clientWidth ?? 0;
    if (sample == null || width === 0) return;
    const inner = width - 20;
    const cell = (inner - FRAME_GAP * (count - 1)) / count;
    const height = Math.round((cell * sample.bitmap.height) / Math.max(1, sample.bitmap.width));
    const pen = penOn(canvas, inner, height, this.#context.theme.fontFamily);
    if (pen === null) return;
    chosen.forEach((picture, i) => {
      const x = i * (cell + FRAME_GAP);
      if (picture === null) pen.rect(x, 0, cell, height, this.#context.theme.grid);
      else pen.picture(picture, x, 0, cell, height);
    });
  }

  async #open(run: string): Promise<void> {
    try {
      await this.#context.request("open", { run });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
  }
}

const fileName = (path: string) => path.split(/[\\/]/).at(-1) ?? path;

function verdict({ answer, prompt, ...facts }: RunFacts): HTMLElement {
  if (answer?.correct == null) {
    return el("span", { class: "verdict unknown" }, "right answer unknown");
  }
  // A counterfactual clip has no right answer of its own: it is judged by the clip's as filmed.
  const of = facts.video.order === null ? "" : " for the clip as filmed";
  return answer.correct
    ? el("span", { class: "verdict right" }, `✓ right${of}`)
    : el(
        "span",
        { class: "verdict wrong" },
        `✗ wrong${of}`,
        el(
          "span",
          { class: "muted" },
          prompt.answer === null
            ? ""
            : ` · right is ${optionText({ answer, prompt, ...facts }, prompt.answer)}`,
        ),
      );
}

function unreadable(run: ComparedRun): HTMLElement {
  return el(
    "article",
    { class: "card unreadable", "aria-label": run.title },
    el("strong", {}, run.title),
    el("p", {}, run.problem ?? "This file holds no run."),
  );
}
