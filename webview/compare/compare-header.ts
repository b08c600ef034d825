import { contrastsOf, promptsDiffer } from "../../src/runs/comparison/contrasts.ts";
import { comparisonReport } from "../../src/runs/comparison/report.ts";
import { button } from "../controls.ts";
import { el, fill, setText, show } from "../dom.ts";
import type { Topic } from "../selection.ts";
import type { CompareContext } from "./compare-context.ts";
import { RunCards } from "./run-cards.ts";
import { wordChoice } from "./word-choice.ts";

/** The head of a comparison: the runs, what tells them apart, and what to mind when comparing. */
export class CompareHeader {
  readonly element: HTMLElement;
  readonly #context: CompareContext;
  readonly #title = el("h1", { class: "question" });
  readonly #cards: RunCards;
  readonly #contrasts = el("dl", { class: "contrasts", "aria-label": "What differs" });
  readonly #same = el("p", { class: "note" });
  readonly #warnings = el("ul", { class: "notices" });
  readonly #said = el("p", { class: "said", role: "status", "aria-live": "polite" });
  readonly #export = button("JSON", () => void this.#saveJson(), {
    look: "icon",
    label: "Save the whole comparison as JSON",
  });

  constructor(context: CompareContext) {
    this.#context = context;
    this.#cards = new RunCards(context);
    this.element = el(
      "header",
      { class: "head" },
      el("div", { class: "head-line" }, this.#title, this.#export),
      this.#cards.element,
      this.#contrasts,
      this.#same,
      this.#warnings,
      this.#said,
    );
  }

  say(message: string): void {
    setText(this.#said, message);
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.has("comparison")) this.#renderRuns();
    else if (changed.has("frames") || changed.has("theme")) this.#cards.drawFrames();
  }

  #renderRuns(): void {
    const { store } = this.#context;
    const { facts } = store;
    setText(
      this.#title,
      store.runs.length === 0 ? "Reading the runs …" : `${facts.length} runs side by side`,
    );
    show(this.#export, facts.length > 1);
    this.#cards.render();
    const { different, same } = contrastsOf(facts);
    fill(
      this.#contrasts,
      ...different.flatMap(({ what, values }) => [
        el("dt", {}, what),
        el(
          "dd",
          {},
          ...values.map((value, run) =>
            el(
              "span",
              { class: "contrast" },
              el("span", { class: `contrast-number s${run + 1}` }, String(run + 1)),
              value,
            ),
          ),
        ),
      ]),
    );
    show(this.#contrasts, different.length > 0);
    setText(
      this.#same,
      facts.length < 2
        ? ""
        : different.length === 0
          ? "Nothing of model, clip and prompt differs between these runs."
          : `The same in all: ${same.join(", ")}.`,
    );
    const warnings = this.#cautions();
    show(this.#warnings, warnings.length > 0);
    fill(
      this.#warnings,
      ...warnings.map((text) => el("li", {}, el("span", { class: "level" }, "note"), text)),
    );
  }

  #cautions(): string[] {
    const { facts, alignment } = this.#context.store;
    if (facts.length < 2)
      return facts.length === 0 ? [] : ["At least two readable runs are needed."];
    return [
      ...(promptsDiffer(facts)
        ? [
            "The prompts differ: token groups hold other words, and probabilities are of answers to other prompts.",
          ]
        : []),
      ...(alignment.relative
        ? [
            `The models differ in depth: the axis has the ${alignment.layers} layers of the deepest, and beside each stands the layer of the others that is nearest in relative depth.`,
          ]
        : []),
      ...(facts.some(({ video }) => video.order !== null)
        ? [
            "Of reversed, shuffled or frozen frames, “right” and “true option” mean the right answer of the clip as filmed.",
          ]
        : []),
    ];
  }

  async #saveJson(): Promise<void> {
    const { store } = this.#context;
    try {
      const files = store.readable.map(({ id }) => id);
      const report = comparisonReport(store.facts, files, wordChoice(store));
      const { saved } = await this.#context.request("save", {
        format: "json",
        name: `${this.#context.identity?.title ?? "comparison"}.json`,
        data: `${JSON.stringify(report, null, 2)}\n`,
      });
      if (saved !== null) this.say(`Saved ${saved}`);
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
  }
}
