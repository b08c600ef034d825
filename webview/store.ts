import type { ProgressEvent, RunEvent } from "../src/protocol/events.ts";
import type { EngineState, PanelState } from "../src/protocol/panel.ts";
import { RunState } from "../src/runs/state.ts";
import { type PromptMap, promptMap } from "./prompt-map.ts";
import { Selection } from "./selection.ts";

export type {
  BranchResult,
  ExperimentState,
  GenerationState,
  ObservedBranch,
  ReadLayer,
  SeriesState,
} from "../src/runs/state.ts";
export type { Topic } from "./selection.ts";

/**
 * What the panel shows: a run's state, what the engine is doing for it, and what the user has chosen.
 * Knows nothing of the DOM; views read it and are told by topic what changed.
 */
export class Store extends Selection {
  readonly #run = new RunState();
  map: PromptMap | null = null;
  progress: ProgressEvent | null = null;
  engine: EngineState = { kind: "idle" };
  /** Events folded so far, progress not counted: the index of the next one. */
  next = 0;

  get run(): RunState["run"] {
    return this.#run.run;
  }

  get frames(): RunState["frames"] {
    return this.#run.frames;
  }

  get vocabulary(): RunState["vocabulary"] {
    return this.#run.vocabulary;
  }

  get layers(): RunState["layers"] {
    return this.#run.layers;
  }

  get answer(): RunState["answer"] {
    return this.#run.answer;
  }

  get experiments(): RunState["experiments"] {
    return this.#run.experiments;
  }

  get branches(): RunState["branches"] {
    return this.#run.branches;
  }

  get generations(): RunState["generations"] {
    return this.#run.generations;
  }

  get notices(): RunState["notices"] {
    return this.#run.notices;
  }

  get finished(): RunState["finished"] {
    return this.#run.finished;
  }

  /** Layers of the model, 0 before the run's first event. */
  override get layerCount(): number {
    return this.#run.layerCount;
  }

  /** The chosen layer, else the last complete one. */
  override get chosenLayer(): number {
    return this.layer ?? Math.max(0, this.layers.length - 1);
  }

  /** Folds one event, or shows a run's progress. */
  apply(event: RunEvent): void {
    if (event.type === "progress") {
      this.progress = event;
      this.touch("progress");
      return;
    }
    this.next += 1;
    const topics = this.#run.apply(event);
    if (topics.includes("run") && this.run !== null) this.map = promptMap(this.run.tokens);
    if (topics.includes("finished")) this.progress = null;
    for (const topic of topics) this.touch(topic);
  }

  /** Text of a token id as far as the run says it; `#id` otherwise. */
  tokenText(id: number): string {
    return this.#run.tokenText(id);
  }

  setEngine(state: EngineState): void {
    this.engine = state;
    this.touch("engine");
  }

  /** What `setState` keeps. */
  toState(run: string | null): PanelState {
    return { version: 1, run, token: this.token, ...this.kept() };
  }
}
