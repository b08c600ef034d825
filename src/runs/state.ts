import type {
  AnswerReading,
  AttentionReading,
  LensReading,
  MassReading,
  RunEvent,
  RunEventOf,
} from "../protocol/events.ts";
import type { Recorded } from "../protocol/experiments/list.ts";
import { RUN_LIMITS } from "../protocol/limits.ts";

export type RunStarted = RunEventOf<"run.started">;
export type BranchResult = RunEventOf<"branch.result">;

/** One decoder layer of a run, clean or cut. */
export interface ReadLayer {
  readonly normed: AnswerReading;
  readonly raw: AnswerReading;
  /** One for each way of reading and set of positions. */
  readonly lens: LensReading[];
  /** One for each set of rows, averaged over heads or not. */
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

/** An experiment, as far as it came. */
export type ExperimentState = Recorded & {
  readonly id: string;
  /** Branches announced, and received so far. */
  readonly expected: number;
  received: number;
  /** How long it took; null until it came to its end. */
  seconds: number | null;
  readonly series: Map<string, SeriesState>;
  /** Every point once, by what it is of, in order of arrival. */
  readonly points: Map<string, BranchResult>;
  /** How a search ended. */
  search: RunEventOf<"pathway.found"> | null;
  /** Whether the run ended before it did. */
  stopped: boolean;
};

/** Tokens generated under one series of a generation experiment. */
export interface GenerationState {
  readonly experiment: string;
  readonly series: string;
  readonly tokens: RunEventOf<"generation.token">["token"][];
  /** The text so far, after each token. */
  readonly texts: string[];
  text: string;
}

/** What an event has changed. */
export type RunTopic =
  | "run"
  | "frames"
  | "vocabulary"
  | "layers"
  | "lens"
  | "attention"
  | "mass"
  | "answer"
  | "experiments"
  | "generation"
  | "notices"
  | "finished";

/**
 * A run's state, folded from its events one at a time (O(1) each, tensors kept by reference). The one
 * meaning of a run file: the panel, exports, comparisons, the command line and resuming all read it.
 *
 * What is told twice counts once: a point of an experiment, a layer's reading, a step of a generated
 * text. An experiment that was stopped gives way to one of the same recipe that was begun after it.
 */
export class RunState {
  run: RunStarted | null = null;
  frames: RunEventOf<"video.frames">["frames"] = [];
  readonly vocabulary = new Map<number, string>();
  /** By layer, 0-based; absent until the layer is complete. */
  readonly layers: (LayerState | undefined)[] = [];
  answer: RunEventOf<"answer"> | null = null;
  /** In the order in which they were begun. */
  readonly experiments = new Map<string, ExperimentState>();
  /** Observed branches by experiment and series (`seriesKey`). */
  readonly branches = new Map<string, ObservedBranch>();
  /** Generated texts by experiment and series (`seriesKey`). */
  readonly generations = new Map<string, GenerationState>();
  readonly notices: RunEventOf<"notice">[] = [];
  finished: RunEventOf<"run.finished"> | null = null;

  /** Layers of the model, 0 before the run's first event. */
  get layerCount(): number {
    // More layers than any decoder has: a broken file must not make a reader loop for minutes.
    return Math.min(this.run?.model.layers ?? 0, RUN_LIMITS.layers);
  }

  /**
   * Folds one event. Results of unknown experiments, layers outside the model and progress are ignored.
   *
   * @returns what has changed.
   */
  apply(event: RunEvent): readonly RunTopic[] {
    switch (event.type) {
      case "run.started":
        // An analysis that was made once more, in files of older versions, tells its beginning again.
        if (this.run !== null) return [];
        this.run = event;
        for (const token of event.tokens.text) this.#learn(token.id, token.text);
        return ["run"];
      case "video.frames":
        this.frames = event.frames;
        return ["frames"];
      case "vocabulary":
        for (const token of event.tokens) this.vocabulary.set(token.id, token.text);
        return ["vocabulary"];
      case "layer.clean":
        return this.#layer(event);
      case "layer.branch":
        return this.#branchLayer(event);
      case "answer":
        this.answer = event;
        return ["answer"];
      case "experiment.started":
        return this.#begin(event);
      case "branch.result":
        return this.#result(event);
      case "pathway.found":
        return this.#change(event.experiment, (experiment) => {
          experiment.search = event;
        });
      case "generation.token":
        return this.#generation(event);
      case "experiment.finished":
        return this.#finish(event);
      case "notice":
        this.notices.push(event);
        return ["notices"];
      case "run.finished":
        this.finished = event;
        for (const experiment of this.experiments.values()) {
          experiment.stopped = experiment.seconds === null;
        }
        return ["finished"];
      case "progress":
        return [];
    }
  }

  /** Text of a token id as far as the run says it; `#id` otherwise. */
  tokenText(id: number): string {
    return this.vocabulary.get(id) ?? `#${id}`;
  }

  #layer(event: RunEventOf<"layer.clean">): readonly RunTopic[] {
    if (event.layer >= this.layerCount) return [];
    const topics: RunTopic[] = [];
    let state = this.layers[event.layer];
    if (state === undefined) {
      const { normed, raw } = event;
      state = { normed, raw, mass: undefined, lens: [], attention: [] };
      this.layers[event.layer] = state;
      for (const token of [...normed.top, ...raw.top]) this.#learn(token.id, token.token);
      topics.push("layers");
    }
    if (event.mass !== undefined) {
      state.mass = event.mass;
      topics.push("mass");
    }
    if (event.lens !== undefined) {
      put(state.lens, event.lens, sameLens);
      topics.push("lens");
    }
    if (event.attention !== undefined) {
      put(state.attention, event.attention, sameRows);
      topics.push("attention");
    }
    return topics;
  }

  #branchLayer(event: RunEventOf<"layer.branch">): readonly RunTopic[] {
    if (event.layer >= this.layerCount) return [];
    const { experiment, series, normed, raw } = event;
    const key = seriesKey(experiment, series);
    let branch = this.branches.get(key);
    if (branch === undefined) {
      branch = { experiment, series, layers: [] };
      this.branches.set(key, branch);
    }
    branch.layers[event.layer] = {
      normed,
      raw,
      lens: event.lens === undefined ? [] : [event.lens],
      attention: event.attention === undefined ? [] : [event.attention],
    };
    return ["attention"];
  }

  #begin(event: RunEventOf<"experiment.started">): readonly RunTopic[] {
    const { type: _, experiment: id, branches: expected, ...recorded } = event;
    this.#drop(id);
    const begun: ExperimentState = {
      id,
      ...recorded,
      expected,
      received: 0,
      seconds: null,
      series: new Map(),
      points: new Map(),
      search: null,
      stopped: false,
    };
    for (const other of this.experiments.values()) {
      if (other.stopped && isSame(other, begun)) this.#drop(other.id);
    }
    this.experiments.set(id, begun);
    return ["experiments", "generation"];
  }

  #finish(event: RunEventOf<"experiment.finished">): readonly RunTopic[] {
    const finished = this.experiments.get(event.experiment);
    if (finished === undefined) return [];
    finished.seconds = event.seconds;
    finished.stopped = false;
    for (const other of this.experiments.values()) {
      if (other === finished) break;
      if (other.seconds === null && isSame(other, finished)) this.#drop(other.id);
    }
    return ["experiments", "generation"];
  }

  #drop(id: string): void {
    const dropped = this.experiments.get(id);
    if (dropped === undefined) return;
    this.experiments.delete(id);
    for (const kept of [this.branches, this.generations]) {
      for (const [key, { experiment }] of kept) if (experiment === id) kept.delete(key);
    }
  }

  #change(id: string, change: (experiment: ExperimentState) => void): readonly RunTopic[] {
    const experiment = this.experiments.get(id);
    if (experiment === undefined) return [];
    change(experiment);
    return ["experiments"];
  }

  #result(event: BranchResult): readonly RunTopic[] {
    return this.#change(event.experiment, (experiment) => {
      const { points } = experiment;
      let series = experiment.series.get(event.series);
      if (series === undefined) {
        series = { name: event.series, results: [], byLayer: new Map() };
        experiment.series.set(event.series, series);
      }
      const { series: name, layer, window, edges_left, detail } = event;
      const key = JSON.stringify([name, layer, window, edges_left, detail]);
      const before = points.get(key);
      points.set(key, event);
      if (before === undefined) series.results.push(event);
      else series.results[series.results.indexOf(before)] = event;
      series.byLayer.set(event.layer, event);
      experiment.received = points.size;
    });
  }

  #generation(event: RunEventOf<"generation.token">): readonly RunTopic[] {
    const { experiment, series, step, token, text } = event;
    const key = seriesKey(experiment, series);
    let state = this.generations.get(key);
    if (state === undefined) {
      state = { experiment, series, tokens: [], texts: [], text: "" };
      this.generations.set(key, state);
    }
    // A step that is told again begins the text anew from there.
    const kept = Math.min(step, state.tokens.length);
    state.tokens.splice(kept, Number.POSITIVE_INFINITY, token);
    state.texts.splice(kept, Number.POSITIVE_INFINITY, text);
    state.text = text;
    return ["generation"];
  }

  /** Remembers a token's text unless the run's own vocabulary already said it. */
  #learn(id: number, text: string): void {
    if (!this.vocabulary.has(id)) this.vocabulary.set(id, text);
  }
}

/** The state after all of a run's events. */
export function foldRun(events: Iterable<RunEvent>): RunState {
  const state = new RunState();
  for (const event of events) state.apply(event);
  return state;
}

/** Names a series of an experiment among those of a run. */
export function seriesKey(experiment: string, series: string): string {
  return `${experiment}\n${series}`;
}

/** Whether two experiments of a run are the same by their recipes. */
function isSame(a: Recorded, b: Recorded): boolean {
  return a.kind === b.kind && JSON.stringify(a.recipe) === JSON.stringify(b.recipe);
}

/** Adds a reading, in the place of one of the same. */
function put<R>(readings: R[], reading: R, same: (a: R, b: R) => boolean): void {
  const at = readings.findIndex((known) => same(known, reading));
  if (at < 0) readings.push(reading);
  else readings[at] = reading;
}

function sameLens(a: LensReading, b: LensReading): boolean {
  return (
    a.norm === b.norm &&
    a.unembedding === b.unembedding &&
    a.positions.length === b.positions.length &&
    a.positions.every(
      ([start, end], i) => start === b.positions[i]?.[0] && end === b.positions[i]?.[1],
    )
  );
}

function sameRows(a: AttentionReading, b: AttentionReading): boolean {
  return (
    a.headAveraged === b.headAveraged &&
    a.queries.length === b.queries.length &&
    a.queries.every((query, i) => query === b.queries[i])
  );
}

/**
 * Probability of an answer that a layer's reading tells, of 1. A token that is no option is known only
 * while it is among the likeliest: null says that it is not, which is not 0.
 *
 * @param answer the option's label, or the token by its id or its text without space around it.
 */
export function answerProbability(
  { options, top }: AnswerReading,
  answer: { readonly label: string } | { readonly id: number } | { readonly token: string },
): number | null {
  if ("label" in answer) {
    return Object.hasOwn(options, answer.label) ? (options[answer.label] ?? null) : null;
  }
  const found =
    "id" in answer
      ? top.find(({ id }) => id === answer.id)
      : top.find(({ token }) => token.trim() === answer.token);
  return found?.probability ?? null;
}
