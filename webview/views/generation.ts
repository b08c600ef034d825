import { recipePhrases } from "../../src/protocol/experiments/list.ts";
import type { Context } from "../context.ts";
import { button, dropdown } from "../controls.ts";
import { el, fill, percent, show, visibleToken } from "../dom.ts";
import { RangeSlider } from "../range-slider.ts";
import { runRecipe } from "../recipe.ts";
import { Section, type View } from "../section.ts";
import type { GenerationState, Topic } from "../store.ts";
import { heat } from "../theme.ts";

const MAX_TOKENS = 48;

/** The answer's text token by token, clean and under each cut. */
export class GenerationView implements View {
  readonly id = "generation";
  readonly section: Section;
  readonly #context: Context;
  readonly #form = el("div", { class: "stack" });
  readonly #from;
  readonly #to;
  readonly #layers: RangeSlider;
  readonly #run = button("Generate", () => void this.#ask(), { look: "primary" });
  readonly #results = el("div", { class: "stack", role: "status" });
  #busy = false;

  constructor(context: Context) {
    this.#context = context;
    const { store } = context;
    this.section = new Section(context, "generation", "Generation", {
      evidence: "cause",
      exports: { table: () => this.#table(), drawing: () => null },
    });
    this.#from = dropdown("Cut", [], "", (value) => store.choose("generation:from", value));
    this.#to = dropdown("off", [], "", (value) => store.choose("generation:to", value));
    this.#layers = new RangeSlider("In layers", () => {});
    this.#form.append(
      el("div", { class: "controls" }, this.#from.element, this.#to.element, this.#run),
      this.#layers.element,
    );
    this.section.body.append(this.#form, this.#results);
  }

  /** Shown for open-ended prompts, and wherever a run holds generated text. */
  available(): boolean {
    const { store, identity } = this.#context;
    if (store.run === null) return false;
    if (store.generations.size > 0) return true;
    return identity?.readOnly === null && store.run.prompt.options.length === 0;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) return;
    const { store, identity } = this.#context;
    show(this.#form, identity?.readOnly === null);
    this.#layers.setLayers(store.layerCount);
    const groups = store.run?.tokens.groups ?? [];
    const choices = groups.map(({ name }) => ({ value: name, text: name }));
    this.#from.setChoices(
      [{ value: "", text: "nothing (clean run only)" }, ...choices],
      store.choice<string>("generation:from", ""),
    );
    this.#to.setChoices(choices, store.choice<string>("generation:to", "last"));
    this.#run.disabled = this.#busy;
    fill(this.#results, ...[...store.generations.values()].map((state) => this.#text(state)));
    const experiment = [...store.experiments.values()].findLast(
      ({ kind }) => kind === "generation",
    );
    this.section.setRecipe([
      "greedy decoding, shade by the token's probability",
      ...(experiment === undefined ? [] : recipePhrases(experiment)),
      ...runRecipe(store),
    ]);
    this.section.refresh();
  }

  #text(state: GenerationState): HTMLElement {
    const clean = this.#context.store.generations.get(`${state.experiment}\nclean`);
    return el(
      "article",
      { class: "cut" },
      el("h3", {}, state.series),
      el(
        "p",
        { class: "generated" },
        ...state.tokens.map((token, step) => {
          const differs = state !== clean && clean?.tokens[step]?.id !== token.id;
          const node = el(
            "span",
            {
              class: differs && clean !== undefined ? "generated-token differs" : "generated-token",
              title: `${visibleToken(token.token)} ${percent(token.probability)}`,
            },
            token.token,
          );
          node.style.borderBottomColor = heat(token.probability);
          return node;
        }),
      ),
      el("p", { class: "note" }, state.text),
    );
  }

  async #ask(): Promise<void> {
    const { store } = this.#context;
    const from = store.choice<string>("generation:from", "");
    const to = store.choice<string>("generation:to", "last");
    const layers = this.#layers.value;
    this.#busy = true;
    this.#run.disabled = true;
    try {
      const cuts =
        from === "" || layers === null ? [] : [{ name: `${from} -/-> ${to}`, from, to, layers }];
      const request = { kind: "generation" as const, maxTokens: MAX_TOKENS, cuts };
      await this.#context.request("experiment", { request });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
    this.#busy = false;
    this.#run.disabled = false;
  }

  #table() {
    return {
      caption: "Generated tokens",
      columns: [
        { name: "Series" },
        { name: "step" },
        { name: "token" },
        { name: "probability", format: percent },
      ],
      rows: [...this.#context.store.generations.values()].flatMap(({ series, tokens }) =>
        tokens.map((token, step) => [
          series,
          step + 1,
          visibleToken(token.token),
          token.probability,
        ]),
      ),
    };
  }
}
