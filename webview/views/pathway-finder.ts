import { keepsAnswer } from "../../src/protocol/pathways.ts";
import { DEFAULT_KEEP_SHARE, KEEP_SHARES, pathwaySearch } from "../../src/protocol/presets.ts";
import type { Context } from "../context.ts";
import { button, progressBar, slider } from "../controls.ts";
import { el, percent, setText, show } from "../dom.ts";
import {
  rangesText,
  type SearchState,
  searchesOf,
  searchTrials,
  type Trial,
} from "../pathway-trials.ts";

const CHOICE = "pathways:keep";

/** "Find for me": asks for the search, shows where it is, and says what it found. */
export class PathwayFinder {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #form: HTMLElement;
  readonly #share;
  readonly #shareText = el("output");
  readonly #find = button("Find for me", () => void this.#ask(), {
    look: "primary",
    label: "Find the pathway with the fewest edges that keeps the answer",
  });
  readonly #cancel = button("Stop", () => void this.#stop(), { label: "Stop the search" });
  readonly #bar = progressBar("Progress of the search");
  readonly #status = el("p", { role: "status" });
  #asking = false;

  constructor(context: Context) {
    this.#context = context;
    const { store } = context;
    const [low, high] = [100 * KEEP_SHARES.min, 100 * KEEP_SHARES.max];
    const label = "Share of the clean probability to keep, in percent";
    this.#share = slider(label, low, high, 100 * DEFAULT_KEEP_SHARE, (value) => {
      store.choose(CHOICE, value);
      this.render();
    });
    this.#form = el(
      "div",
      { class: "controls" },
      el("div", { class: "keep" }, "Keep at least", this.#share.element, this.#shareText),
      this.#find,
      this.#cancel,
    );
    this.element = el("div", { class: "finder" }, this.#form, this.#bar.element, this.#status);
    // A view out of sight is not drawn at once; until it is, nothing runs.
    for (const part of [this.#cancel, this.#bar.element, this.#status]) show(part, false);
  }

  /** Share to keep that is asked for next. */
  get keepShare(): number {
    return this.#context.store.choice(CHOICE, 100 * DEFAULT_KEEP_SHARE) / 100;
  }

  render(): void {
    const { store, identity } = this.#context;
    const search = searchesOf(store).at(-1);
    const working = store.engine.kind === "running" || store.engine.kind === "queued";
    const running = working && search !== undefined && search.seconds === null;
    const canAsk = identity?.readOnly === null;
    show(this.element, canAsk || search !== undefined);
    show(this.#form, canAsk);
    this.#share.set(Math.round(100 * this.keepShare));
    this.#share.setText(percent(this.keepShare));
    setText(this.#shareText, percent(this.keepShare).replace(".0 %", " %"));
    this.#find.disabled = this.#asking || working || store.answer === null;
    show(this.#cancel, running);
    show(this.#bar.element, running);
    if (running) {
      const { progress } = store;
      this.#bar.set(
        progress === null || progress.total <= 0 ? null : progress.done / progress.total,
      );
    }
    setText(this.#status, search === undefined ? "" : statusText(search, running));
    show(this.#status, search !== undefined);
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    this.render();
    try {
      await this.#context.request("experiment", { request: pathwaySearch(this.keepShare) });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    } finally {
      this.#asking = false;
      this.render();
    }
  }

  async #stop(): Promise<void> {
    try {
      await this.#context.request("cancel", {});
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
  }
}

/** What a search was asked to keep, and where it is or how it ended; never more than is known. */
function statusText(search: SearchState, running: boolean): string {
  const trials = searchTrials(search);
  const tried = trials.filter(({ origin }) => origin === "tried");
  const wanted = search.recipe.keepShare;
  const end = search.search;
  const best = end === null ? smallest(tried, wanted) : trials.find((t) => t.origin === "found");
  const asked = `at least ${percent(wanted)} of the clean probability and the same answer`;
  const result =
    best === undefined || (end !== null && end.found === null)
      ? `nothing that keeps ${asked}`
      : `${rangesText(best.ranges)}: ${percent(best.edgesLeft)} of the edges left, ${percent(best.share)} of the probability kept`;
  if (end === null) {
    const where = running
      ? `Trying: ${tried.length} pathways so far`
      : `The search was stopped after ${tried.length} pathways`;
    return `${where}. Smallest until then: ${result}.`;
  }
  const trust =
    end.ended === "local"
      ? `${end.tried} pathways were tried, all that are one step from the best among them; that is no proof that none is smaller`
      : `It stopped after ${end.tried} pathways, as many as allowed; smaller ones may exist`;
  return `Found: ${result} (asked for ${asked}). ${trust}.`;
}

function smallest(trials: readonly Trial[], keepShare: number): Trial | undefined {
  return trials
    .filter(({ kept }) => keepsAnswer(kept, keepShare))
    .toSorted((a, b) => a.edgesLeft - b.edgesLeft)[0];
}
