import { type Missing, missingOf } from "../../src/runs/comparison/missing.ts";
import type { ComparedRun, Measurement } from "../../src/runs/comparison/panel-protocol.ts";
import { button } from "../controls.ts";
import { el, fill, show } from "../dom.ts";
import type { CompareContext } from "./compare-context.ts";

/** Says which run lacks what a view compares, and offers to measure it. */
export class MissingNote {
  readonly element = el("ul", { class: "missing", hidden: true });
  readonly #context: CompareContext;
  readonly #what: readonly Missing["what"][];
  #drawn = "";

  constructor(context: CompareContext, ...what: readonly Missing["what"][]) {
    this.#context = context;
    this.#what = what;
  }

  /** Brings the list up to date. */
  render(): void {
    const { store } = this.#context;
    const list = missingOf(store.facts).filter(({ what }) => this.#what.includes(what));
    const runs = list.map(({ run }) => store.readable[run]);
    const key = JSON.stringify([list, runs.map((run) => [run?.id, run?.refusal, run?.engine])]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    show(this.element, list.length > 0);
    fill(
      this.element,
      ...list.map((missing, i) => {
        const run = runs[i];
        return run === undefined ? null : this.#entry(missing, run);
      }),
    );
  }

  #entry(missing: Missing, run: ComparedRun): HTMLElement {
    const task = this.#taskFor(missing);
    const working = run.engine.kind === "running" || run.engine.kind === "queued";
    const name = `Run ${missing.run + 1}`;
    const why =
      task === null
        ? "its prompt has no such tokens, so that nothing can be cut there."
        : run.refusal !== null
          ? run.refusal
          : working
            ? "the engine is at work on this run; what it finds appears here."
            : null;
    return el(
      "li",
      {},
      el("span", {}, `${name} holds no ${nameOf(missing)}${why === null ? "." : `: ${why}`}`),
      task === null || why !== null
        ? null
        : button("Measure it", () => void this.#measure(run.id, task), {
            label: `${name}: measure ${nameOf(missing)}`,
          }),
    );
  }

  #taskFor(missing: Missing): Measurement | null {
    if (missing.what === "series") {
      return missing.request === null ? null : { kind: "experiment", request: missing.request };
    }
    // Read as the other run was read, so that the two can stand beside one another.
    const other = this.#context.store.facts.find(({ lens }) => lens !== null)?.lens;
    const lens =
      missing.what === "lens" && other != null
        ? { norm: other.norm, unembedding: other.unembedding }
        : false;
    return {
      kind: "observe",
      observations: { lens, mass: missing.what !== "lens", attention: "none", headAveraged: true },
    };
  }

  async #measure(run: string, task: Measurement): Promise<void> {
    try {
      await this.#context.request("measure", { run, task });
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    }
  }
}

function nameOf(missing: Missing): string {
  switch (missing.what) {
    case "answer":
      return "answer by layer";
    case "mass":
      return "attention by token group";
    case "lens":
      return "logit lens of the video tokens";
    case "series":
      return `knockout of ${missing.series.join(", ")}`;
  }
}
