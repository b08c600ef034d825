import type {
  AnswerReading,
  AttentionReading,
  LensReading,
  MassReading,
  ProgressEvent,
  RunEvent,
  RunEventOf,
} from "../src/protocol/events.ts";
import type { Recorded } from "../src/protocol/experiments/list.ts";
import type { EngineState, PanelState } from "../src/protocol/panel.ts";
import { type PromptMap, promptMap } from "./prompt-map.ts";
import { Selection } from "./selection.ts";

export type { Topic } from "./selection.ts";

export type RunStarted = RunEventOf<"run.started">;
export type BranchResult = RunEventOf<"branch.result">;

/** One decoder layer of a run, clean or cut. */
export interface ReadLayer {
  readonly normed: AnswerReading;
  readonly raw: AnswerReading;
  readonly lens: LensReading[];
  readonly attention: AttentionReading[];
}

/** One decoder layer of the clean run; readings that were asked for later are added to it. */
export interface LayerState extends ReadLayer {
  mass: MassReading | undefined;
}

/** Results of one series of an experiment, in order of arrival and by layer. */
export interface SeriesState {
  readonly name: string;
  readonly results: BranchResult[];
  readonly byLayer: Map<number, BranchResult>;
}

/** An intervened run that was read layer by layer, as the clean one is. */
export interface ObservedBranch {
  readonly experiment: string;
  readonly series: string;
  readonly layers: (ReadLayer | undefined)[];
}

export type ExperimentState = Recorded & {
  readonly id: string;
  /** Branches announced, and received so far. */
  readonly expected: number;
  received: number;
  seconds: number | null;
  readonly series: Map<string, SeriesState>;
  /** How a search ended. */
  search: RunEventOf<"pathway.found"> | null;
};

/** Tokens generated under one series of a generation experiment. */
export interface GenerationState {
  readonly experiment: string;
  readonly series: string;
  readonly tokens: RunEventOf<"generation.token">["token"][];
  text: string;
}

/** More layers than any decoder has: a broken file must not make the panel loop for minutes. */
const MAX_LAYERS = 512;

/**
 * The panel's whole state, folded from run events one at a time (O(1) each, tensors kept by
 * reference), plus what the user has chosen. Knows nothing of the DOM; views read it and are told
 * by topic what changed.
 */
export class Store extends Selection {
  run: RunStarted | null = null;
  map: PromptMap | null = null;
  frames: RunEventOf<"video.frames">["frames"] = [];
  readonly vocabulary = new Map<number, string>();
  /** By layer, 0-based; absent until the layer is complete. */
  readonly layers: (LayerState | undefined)[] = [];
  answer: RunEventOf<"answer"> | null = null;
  readonly experiments = new Map<string, ExperimentState>();
  /** Observed branches by experiment and series. */
  readonly branches = new Map<string, ObservedBranch>();
  readonly generations = new Map<string, GenerationState>();
  progress: ProgressEvent | null = null;
  readonly notices: RunEventOf<"notice">[] = [];
  finished: RunEventOf<"run.finished"> | null = null;
  engine: EngineState = { kind: "idle" };
  /** Events folded so far, progress not counted: the index of the next one. */
  next = 0;

  /** Layers of the model, 0 before the run's first event. */
  override get layerCount(): number {
    return Math.min(this.run?.model.layers ?? 0, MAX_LAYERS);
  }

  /** The chosen layer, else the last complete one. */
  override get chosenLayer(): number {
    return this.layer ?? Math.max(0, this.layers.length - 1);
  }

  /** Folds one event. Unknown events and layers outside the model are ignored. */
  apply(event: RunEvent): void {
    if (event.type !== "progress") this.next += 1;
    switch (event.type) {
      case "run.started":
        this.run = event;
        this.map = promptMap(event.tokens);
        for (const token of event.tokens.text) this.#learn(token.id, token.text);
        this.touch("run");
        break;
      case "video.frames":
        this.frames = event.frames;
        this.touch("frames");
        break;
      case "vocabulary":
        for (const token of event.tokens) this.vocabulary.set(token.id, token.text);
        this.touch("vocabulary");
        break;
      case "layer.clean":
        this.#layer(event);
        break;
      case "layer.branch":
        this.#branchLayer(event);
        break;
      case "answer":
        this.answer = event;
        this.touch("answer");
        break;
      case "experiment.started": {
        const { type: _, experiment: id, branches, ...recorded } = event;
        this.experiments.set(id, {
          id,
          ...recorded,
          expected: branches,
          received: 0,
          seconds: null,
          series: new Map(),
          search: null,
        });
        this.touch("experiments");
        break;
      }
      case "branch.result":
        this.#branch(event);
        break;
      case "pathway.found": {
        const experiment = this.experiments.get(event.experiment);
        if (experiment !== undefined) experiment.search = event;
        this.touch("experiments");
        break;
      }
      case "generation.token":
        this.#generation(event);
        break;
      case "experiment.finished": {
        const experiment = this.experiments.get(event.experiment);
        if (experiment !== undefined) experiment.seconds = event.seconds;
        this.touch("experiments");
        break;
      }
      case "progress":
        this.progress = event;
        this.touch("progress");
        break;
      case "notice":
        this.notices.push(event);
        this.touch("notices");
        break;
      case "run.finished":
        this.finished = event;
        this.progress = null;
        this.touch("finished");
        break;
    }
  }

  #layer(event: RunEventOf<"layer.clean">): void {
    if (event.layer >= this.layerCount) return;
    const known = this.layers[event.layer];
    const state: LayerState = known ?? {
      normed: event.normed,
      raw: event.raw,
      mass: undefined,
      lens: [],
      attention: [],
    };
    if (known === undefined) {
      this.layers[event.layer] = state;
      for (const token of event.normed.top) this.#learn(token.id, token.token);
      for (const token of event.raw.top) this.#learn(token.id, token.token);
      this.touch("layers");
    }
    if (event.mass !== undefined) {
      state.mass = event.mass;
      this.touch("mass");
    }
    if (event.lens !== undefined) {
      state.lens.push(event.lens);
      this.touch("lens");
    }
    if (event.attention !== undefined) {
      state.attention.push(event.attention);
      this.touch("attention");
    }
  }

  #branchLayer(event: RunEventOf<"layer.branch">): void {
    if (event.layer >= this.layerCount) return;
    const key = `${event.experiment}\n${event.series}`;
    let branch = this.branches.get(key);
    if (branch === undefined) {
      branch = { experiment: event.experiment, series: event.series, layers: [] };
      this.branches.set(key, branch);
    }
    branch.layers[event.layer] = {
      normed: event.normed,
      raw: event.raw,
      lens: event.lens === undefined ? [] : [event.lens],
      attention: event.attention === undefined ? [] : [event.attention],
    };
    this.touch("attention");
  }

  #branch(event: BranchResult): void {
    const experiment = this.experiments.get(event.experiment);
    if (experiment === undefined) return;
    let series = experiment.series.get(event.series);
    if (series === undefined) {
      series = { name: event.series, results: [], byLayer: new Map() };
      experiment.series.set(event.series, series);
    }
    series.results.push(event);
    series.byLayer.set(event.layer, event);
    experiment.received += 1;
    this.touch("experiments");
  }

  #generation(event: RunEventOf<"generation.token">): void {
    const key = `${event.experiment}\n${event.series}`;
    let state = this.generations.get(key);
    if (state === undefined) {
      state = { experiment: event.experiment, series: event.series, tokens: [], text: "" };
      this.generations.set(key, state);
    }
    state.tokens.push(event.token);
    state.text = event.text;
    this.touch("generation");
  }

  /** Remembers a token's text unless the run's own vocabulary already said it. */
  #learn(id: number, text: string): void {
    if (!this.vocabulary.has(id)) this.vocabulary.set(id, text);
  }

  /** Text of a token id as far as the run says it; `#id` otherwise. */
  tokenText(id: number): string {
    return this.vocabulary.get(id) ?? `#${id}`;
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
