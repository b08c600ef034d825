import { layerSpansText } from "../../src/protocol/experiments/parameters.ts";
import { groupTitle } from "../../src/protocol/group-names.ts";
import { bars } from "../bars.ts";
import type { Context } from "../context.ts";
import { button, checkbox, dropdown, textField } from "../controls.ts";
import { answerChange, change, el, fill, percent, setText, show, visibleToken } from "../dom.ts";
import { RangeSlider } from "../range-slider.ts";
import { runRecipe } from "../recipe.ts";
import { type Drawing, Section, type View } from "../section.ts";
import type { BranchResult, Topic } from "../store.ts";
import { positionsText } from "./position-set.ts";

/** Which end of the cut edges: keys are read from, queries read. */
type End = "from" | "to";

/** What a cut run is read for when its attention is wanted: shown beside the clean run's. */
const OBSERVED = { lens: false, mass: false, attention: "text", headAveraged: true } as const;

const TITLES: Readonly<Record<End, string>> = {
  from: "Cut off these tokens",
  to: "from being read by these",
};

/** Any cut the user draws: source tokens, target tokens, layers, heads; the answer before and after. */
export class WhatIfView implements View {
  readonly id = "what-if";
  readonly section: Section;
  readonly #context: Context;
  readonly #form = el("div", { class: "stack" });
  readonly #layers: RangeSlider;
  readonly #ends: Record<End, Set<number>> = { from: new Set(), to: new Set() };
  readonly #texts: Record<End, HTMLElement> = { from: el("span"), to: el("span") };
  readonly #groups: Record<End, ReturnType<typeof dropdown>>;
  readonly #addChosen: Record<End, HTMLElement & { disabled: boolean }>;
  readonly #heads;
  readonly #name;
  readonly #run = button("Cut", () => void this.#cut(), { look: "primary", label: "Run this cut" });
  readonly #results = el("div", { class: "stack", role: "status" });
  readonly #observe;
  #headsText = "";
  #nameText = "";
  #busy = false;

  constructor(context: Context) {
    this.#context = context;
    this.section = new Section(context, "what-if", "What if", {
      evidence: "cause",
      exports: { table: () => this.#table(), drawing: () => this.#drawing() },
    });
    this.#layers = new RangeSlider("In layers", () => this.#renderForm());
    const group = (end: End) =>
      dropdown(TITLES[end], [{ value: "", text: "add a group …" }], "", (name) => {
        this.#addGroup(end, name);
        this.#groups[end].set("");
      });
    this.#groups = { from: group("from"), to: group("to") };
    const addChosen = (end: End) =>
      button("+ chosen token", () => this.#add(end, [context.store.token ?? -1]), {
        label: `Add the chosen token to: ${TITLES[end]}`,
      });
    this.#addChosen = { from: addChosen("from"), to: addChosen("to") };
    this.#heads = textField("Heads (all when empty)", "all heads, or 1, 4-6", (value) => {
      this.#headsText = value;
      this.#renderForm();
    });
    this.#name = textField("Name of this cut", "name (optional)", (value) => {
      this.#nameText = value;
    });
    this.#observe = checkbox(
      "read attention too",
      context.store.choice("what-if:observe", false),
      (value) => context.store.choose("what-if:observe", value),
    );
    for (const end of ["from", "to"] as const) {
      const clear = button("Clear", () => this.#clear(end), {
        look: "icon",
        label: `Clear: ${TITLES[end]}`,
      });
      this.#form.append(
        el(
          "div",
          { class: "controls cut-end" },
          this.#groups[end].element,
          this.#addChosen[end],
          this.#texts[end],
          clear,
        ),
      );
    }
    this.#form.append(
      this.#layers.element,
      el(
        "div",
        { class: "controls" },
        this.#heads.element,
        this.#name.element,
        this.#observe.element,
        this.#run,
      ),
    );
    this.section.body.append(this.#form, this.#results);
  }

  available(): boolean {
    const { store, identity } = this.#context;
    if (store.run === null) return false;
    return identity?.readOnly === null || this.#cuts().length > 0;
  }

  render(changed: ReadonlySet<Topic>): void {
    const { store, identity } = this.#context;
    show(this.#form, identity?.readOnly === null);
    this.#layers.setLayers(store.layerCount);
    if (changed.has("run")) {
      const groups = store.run?.tokens.groups ?? [];
      for (const end of ["from", "to"] as const) {
        this.#groups[end].setChoices(
          [
            { value: "", text: "add a group …" },
            ...groups.map(({ name }) => ({ value: name, text: groupTitle(name) })),
          ],
          "",
        );
      }
    }
    this.#renderForm();
    if (changed.size === 1 && changed.has("selection")) return;
    this.#renderResults();
    this.section.setRecipe([
      "edges set to the lowest score before the softmax",
      ...runRecipe(store),
    ]);
    this.section.refresh();
  }

  #add(end: End, positions: Iterable<number>): void {
    for (const position of positions) if (position >= 0) this.#ends[end].add(position);
    this.#renderForm();
  }

  #addGroup(end: End, name: string): void {
    const group = this.#context.store.run?.tokens.groups.find((g) => g.name === name);
    const length = this.#context.store.map?.length ?? 0;
    for (const [start, stop] of group?.spans ?? []) {
      for (let p = start; p < Math.min(stop, length); p += 1) this.#ends[end].add(p);
    }
    this.#renderForm();
  }

  #clear(end: End): void {
    this.#ends[end].clear();
    this.#renderForm();
  }

  /** Heads as 0-based numbers, undefined for all; null when the text makes no sense. */
  #headList(): number[] | undefined | null {
    const text = this.#headsText.trim();
    if (text === "") return undefined;
    const heads = this.#context.store.run?.model.heads ?? 0;
    const list = new Set<number>();
    for (const part of text.split(",")) {
      const match = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(part);
      const first = Number(match?.[1] ?? Number.NaN);
      const last = Number(match?.[2] ?? first);
      if (!(first >= 1 && last >= first && last <= heads)) return null;
      for (let head = first; head <= last; head += 1) list.add(head - 1);
    }
    return [...list];
  }

  #renderForm(): void {
    const { store } = this.#context;
    for (const end of ["from", "to"] as const) {
      const positions = this.#ends[end];
      setText(
        this.#texts[end],
        positions.size === 0 ? "no tokens yet" : positionsText(store, positions),
      );
      this.#addChosen[end].disabled = store.token === null;
    }
    const ready = this.#ends.from.size > 0 && this.#ends.to.size > 0 && this.#layers.value !== null;
    this.#run.disabled = this.#busy || !ready || this.#headList() === null;
  }

  async #cut(): Promise<void> {
    const layers = this.#layers.value;
    const heads = this.#headList();
    if (layers === null || heads === null) return;
    const { from, to } = this.#ends;
    const { store } = this.#context;
    const name =
      this.#nameText.trim() ||
      `${positionsText(store, from)} -/-> ${positionsText(store, to)}, ${layerSpansText([[layers[0], layers[1] + 1]])}`;
    this.#busy = true;
    this.#renderForm();
    try {
      const request = {
        kind: "what-if" as const,
        name,
        from: [...from].sort((a, b) => a - b),
        to: [...to].sort((a, b) => a - b),
        layers,
        ...(heads === undefined ? {} : { heads }),
        ...(store.choice("what-if:observe", false) ? { observe: OBSERVED } : {}),
      };
      await this.#context.request("experiment", { request });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
    this.#busy = false;
    this.#renderForm();
  }

  #cuts(): BranchResult[] {
    return [...this.#context.store.experiments.values()]
      .filter(({ kind }) => kind === "what-if")
      .flatMap(({ series }) => [...series.values()].flatMap(({ results }) => results));
  }

  #renderResults(): void {
    const { store } = this.#context;
    const options = store.run?.prompt.options ?? [];
    const clean = store.answer?.options ?? {};
    fill(
      this.#results,
      ...this.#cuts()
        .reverse()
        .map((cut) =>
          el(
            "article",
            { class: "cut" },
            el("h3", {}, cut.series),
            el(
              "p",
              { class: "note" },
              `${layerSpansText(cut.window)}: ${answerChange(cut.base_answer, cut.new_answer)}, ${change(cut.relative_diff)}`,
            ),
            bars(
              options.flatMap(({ label, text }) => [
                { name: `(${label}) ${text}, clean`, value: clean[label] ?? null, slot: 6 },
                { name: `(${label}) ${text}, cut`, value: cut.options[label] ?? null, slot: 0 },
              ]),
              `Options before and after: ${cut.series}`,
            ),
          ),
        ),
    );
  }

  #table() {
    const { store } = this.#context;
    const options = store.run?.prompt.options ?? [];
    const clean = store.answer;
    return {
      caption: "The answer's distribution, clean and under each cut",
      columns: [
        { name: "Cut" },
        { name: "layers" },
        { name: "answer" },
        ...options.map(({ label }) => ({ name: `(${label})`, format: percent })),
      ],
      rows: [
        [
          "clean",
          "",
          clean === null ? null : visibleToken(clean.answer.token),
          ...options.map(({ label }) => clean?.options[label] ?? null),
        ],
        ...this.#cuts().map((cut) => [
          cut.series,
          layerSpansText(cut.window),
          visibleToken(cut.new_answer),
          ...options.map(({ label }) => cut.options[label] ?? null),
        ]),
      ],
    };
  }

  #drawing(): Drawing | null {
    const cuts = this.#cuts();
    const { store, theme } = this.#context;
    const options = store.run?.prompt.options ?? [];
    if (cuts.length === 0 || options.length === 0) return null;
    const width = 560;
    const block = 24 + options.length * 34;
    return {
      width,
      height: cuts.length * block + 10,
      draw: (pen) => {
        cuts.forEach((cut, index) => {
          const top = index * block;
          pen.text(cut.series, 10, top + 14, { fill: theme.foreground, size: 12, bold: true });
          options.forEach(({ label, text }, i) => {
            const y = top + 28 + i * 34;
            pen.text(`(${label}) ${text}`, 10, y + 12, { fill: theme.foreground, size: 12 });
            const pair = [
              [store.answer?.options[label] ?? 0, 6],
              [cut.options[label] ?? 0, 0],
            ] as const;
            pair.forEach(([value, slot], k) => {
              const fillColor = theme.series[slot] ?? theme.foreground;
              pen.rect(200, y + k * 13, value * 260, 11, fillColor);
              pen.text(percent(value), 206 + value * 260, y + 6 + k * 13, {
                fill: theme.muted,
                size: 10,
              });
            });
          });
        });
      },
    };
  }
}
