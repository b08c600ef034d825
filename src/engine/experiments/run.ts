import type { EventSink, RunOption } from "../../protocol/events.ts";
import type { Observations } from "../../protocol/experiments/schemas.ts";
import type { KeptRun } from "../clean-cache/kept-run.ts";
import type { Positions } from "../families/shared/rope.ts";
import type { DecoderSpec } from "../families/shared/spec.ts";
import type { OpenModel } from "../runtime/model.ts";
import { forecastPasses, type PassForecast, passWork, total } from "../trace/memory.ts";
import { runPass } from "../trace/pass.ts";
import type { LayerState } from "../trace/pass-request.ts";
import type { PlannedBranch } from "../trace/plan.ts";
import { type Unembedded, unembed } from "../trace/unembed.ts";
import { type CleanSource, passWithKept } from "./clean-pass.ts";
import { ExperimentBook } from "./experiment-book.ts";
import { compareToClean, type LastReading } from "./figures.ts";
import { forecastRun, reportForecast } from "./forecast.ts";
import {
  type CleanReadRequest,
  LayerReader,
  type LayerReadRequest,
  massReading,
  type ReadPrompt,
  TOP_K,
} from "./observe.ts";
import { type ExperimentPlan, type ExperimentPoint, planPoints } from "./plan.ts";

/** A prompt ready for the decoder. */
export interface PreparedPrompt extends ReadPrompt {
  /** [S, d] */
  readonly embeddings: Float32Array;
  /** Where the rows stand for the decoder's rotation; absent: 0 … S-1. */
  readonly positions?: Positions | undefined;
  /** Its clean run, kept or to be kept; absent: every pass computes it. */
  readonly clean?: KeptRun | undefined;
  /** Token of the right answer; absent when unknown, or open-ended. */
  readonly truthId: number | undefined;
  /** What reading a branch's layers means for this prompt. */
  observer(observe: Observations): CleanReadRequest;
}

/** An experiment under the id that its events carry. */
export interface PlannedExperiment {
  readonly id: string;
  readonly plan: ExperimentPlan;
}

/** What a run's experiments share. */
export interface RunParts {
  readonly model: OpenModel;
  readonly prompt: PreparedPrompt;
  /** Ids to text, a whole answer at once. */
  decode(ids: readonly number[]): string;
  readonly settings: PassSettings;
  readonly sink: EventSink;
}

/** An experiment that is no set of branches known beforehand: it runs by itself, after those that are. */
export interface RunAlone {
  /** The passes that it needs at most, on a prompt of `length` positions. */
  forecast(decoder: DecoderSpec, length: number, budgetBytes: number): PassForecast;
  /** @throws CancelledError when stopped; what was found has been told by then. */
  run(id: string, parts: RunParts): Promise<void>;
}

/** How passes are run. */
export interface PassSettings {
  readonly memoryBudgetBytes: number;
  readonly signal: AbortSignal;
}

/** What the clean run says of its own answer; every branch is compared with it. */
interface CleanAnswer extends LastReading {
  readonly options: Record<string, number>;
}

/**
 * Runs the clean prompt and the branches of experiments, and tells what they find as events: the
 * clean layers as they complete (when observed), the answer, and a `branch.result` for each point.
 * Branches that would not fit the memory budget together go in several passes, and a notice says so.
 *
 * @throws CancelledError when the signal is aborted; what was found has been told by then.
 */
export async function runExperiments(
  model: OpenModel,
  prompt: PreparedPrompt,
  observer: CleanReadRequest | undefined,
  experiments: readonly PlannedExperiment[],
  settings: PassSettings,
  sink: EventSink,
): Promise<void> {
  const runner = new Runner(model, prompt, observer, settings, sink);
  await runner.run(experiments);
}

/** A branch with the experiment and point it belongs to. */
interface Queued {
  readonly experiment: PlannedExperiment;
  readonly point: ExperimentPoint;
  readonly planned: PlannedBranch;
}

class Runner {
  readonly #model: OpenModel;
  readonly #prompt: PreparedPrompt;
  readonly #observer: CleanReadRequest | undefined;
  readonly #settings: PassSettings;
  readonly #sink: EventSink;
  readonly #reader: LayerReader;
  #observed: boolean;

  constructor(
    model: OpenModel,
    prompt: PreparedPrompt,
    observer: CleanReadRequest | undefined,
    settings: PassSettings,
    sink: EventSink,
  ) {
    this.#model = model;
    this.#prompt = prompt;
    this.#observer = observer;
    this.#settings = settings;
    this.#sink = sink;
    this.#reader = new LayerReader(model, prompt, sink);
    this.#observed = observer === undefined;
  }

  async run(experiments: readonly PlannedExperiment[]): Promise<void> {
    const queue = this.#queue(experiments);
    const { memory, cleanFirst } = await this.#forecast(queue);
    if (cleanFirst) await this.#pass([], "decoder");
    if (memory.groups.length > 1) {
      this.#sink({
        type: "notice",
        level: "info",
        message:
          `${queue.length} branches would not fit the memory budget together; ` +
          `they run in ${memory.groups.length} passes`,
      });
    }
    const book = new ExperimentBook(experiments, this.#sink);
    for (const group of memory.groups) {
      if (group.length === 0 && this.#observed) continue;
      const members = group.flatMap((index) => queue[index] ?? []);
      await this.#pass(members, members.length > 0 ? "experiment" : "decoder", memory.maxRows);
      for (const { experiment } of members) book.completed(experiment.id);
    }
  }

  /** Plans the passes within the memory budget, and says what they will need when it is much. */
  async #forecast(queue: readonly Queued[]) {
    const { decoder } = this.#model.spec;
    const { memoryBudgetBytes: budgetBytes } = this.#settings;
    const planned = queue.map((queued) => queued.planned);
    const kept = this.#startsFromKept();
    const passes = forecastPasses(decoder, this.#prompt.length, planned, budgetBytes, kept);
    const lensRows = this.#observed ? undefined : (this.#observer?.lens?.positions.length ?? 0);
    const { cleanFirst, multiplyAdds } = forecastRun(decoder, passes, lensRows);
    const bytes = passes.memory.forecastBytes;
    await reportForecast(this.#model, { multiplyAdds, bytes, budgetBytes }, this.#sink);
    return { memory: passes.memory, cleanFirst };
  }

  #queue(experiments: readonly PlannedExperiment[]): Queued[] {
    const points = experiments.flatMap((experiment) =>
      experiment.plan.points.map((point) => ({ experiment, point })),
    );
    const planned = planPoints(
      points.map(({ point }) => point),
      this.#prompt.length,
      this.#model.layers.length,
    );
    return points.flatMap((entry, i) => {
      const plan = planned[i];
      return plan === undefined ? [] : [{ ...entry, planned: plan }];
    });
  }

  async #pass(
    members: readonly Queued[],
    phase: "decoder" | "experiment",
    maxRows = this.#prompt.length,
  ): Promise<void> {
    const usable = this.#startsFromKept();
    const observer = this.#observed ? undefined : this.#observer;
    this.#observed = true;
    const { decoder } = this.#model.spec;
    const planned = members.map((member) => member.planned);
    const { length, clean } = this.#prompt;
    const tell = this.#progress(phase, passWork(decoder, length, planned, usable ? 0 : length));
    tell(0, 0);
    const watched = new Map<number, LayerReadRequest>();
    members.forEach(({ point }, b) => {
      if (point.observe !== undefined) watched.set(b, this.#prompt.observer(point.observe));
    });
    const pass = (source: CleanSource) =>
      runPass(
        this.#model,
        this.#prompt.embeddings,
        planned,
        {
          ...source,
          positions: this.#prompt.positions,
          mass: observer?.mass?.request,
          weightRows: observer?.attentionRows,
          watched: new Map(
            [...watched].flatMap(([b, { attentionRows }]) =>
              attentionRows === undefined ? [] : [[b, attentionRows] as const],
            ),
          ),
          maxRows,
          progress: tell,
        },
        async (state) => {
          if (observer !== undefined) await this.#tellClean(observer, state);
          for (const [b, asked] of watched) await this.#tellBranch(members, b, asked, state);
          if (state.layer === this.#model.layers.length - 1) {
            const answer = await this.#readAnswer(state, observer !== undefined);
            await this.#readBranches(state, members, answer);
          }
        },
        this.#settings.signal,
      );
    await passWithKept(clean, usable, this.#sink, pass);
  }

  /** Whether what the next pass is asked can be had from a clean run that was kept. */
  #startsFromKept(): boolean {
    const mass = this.#observed ? undefined : this.#observer?.mass;
    return this.#prompt.clean?.record !== undefined && mass === undefined;
  }

  async #tellClean(observer: CleanReadRequest, state: LayerState): Promise<void> {
    const width = this.#model.spec.decoder.hiddenSize;
    const reading = await this.#reader.read(observer, {
      layer: state.layer,
      row: (position) => state.hidden.subarray(position * width, (position + 1) * width),
      weights: state.weights,
    });
    this.#sink({
      type: "layer.clean",
      layer: state.layer,
      ...reading,
      ...(observer.mass === undefined || state.mass === undefined
        ? {}
        : { mass: massReading(state.mass, observer.mass.groups) }),
    });
  }

  async #tellBranch(
    members: readonly Queued[],
    b: number,
    observer: LayerReadRequest,
    state: LayerState,
  ): Promise<void> {
    const member = members[b];
    if (member === undefined) return;
    const reading = await this.#reader.read(observer, {
      layer: state.layer,
      row: (position) => state.branchRow(b, position),
      weights: state.branchWeights(b),
    });
    this.#sink({
      type: "layer.branch",
      experiment: member.experiment.id,
      series: member.point.series,
      layer: state.layer,
      ...reading,
    });
  }

  /** Reads the clean answer, and tells it when the clean run is being observed. */
  async #readAnswer(state: LayerState, tell: boolean): Promise<CleanAnswer> {
    const { options, truthId, tokenText, length } = this.#prompt;
    const width = this.#model.spec.decoder.hiddenSize;
    const row = state.hidden.subarray((length - 1) * width, length * width);
    const top = await unembed(this.#model, row, [true], { k: 1, chosen: new Int32Array() });
    const answerId = top.topIds[0] ?? 0;
    const ids = this.#chosenIds(answerId);
    const read = await unembed(this.#model, row, [true], { k: TOP_K, chosen: ids });
    const clean: CleanAnswer = {
      ...this.#lastReading(read, 0, ids),
      ...optionsOf(read, 0, options),
    };
    if (!tell) return clean;
    const probability = (id: number) => ({
      id,
      token: tokenText(id),
      probability: clean.probabilityOf(id),
    });
    this.#sink({
      type: "answer",
      answer: probability(answerId),
      ...(truthId === undefined
        ? {}
        : { groundTruth: probability(truthId), correct: truthId === answerId }),
      options: clean.options,
    });
    return clean;
  }

  /** Reads every branch at the last position and tells its figures. */
  async #readBranches(
    state: LayerState,
    members: readonly Queued[],
    clean: CleanAnswer,
  ): Promise<void> {
    if (members.length === 0) return;
    const { length, options, truthId } = this.#prompt;
    const width = this.#model.spec.decoder.hiddenSize;
    const rows = new Float32Array(members.length * width);
    members.forEach((_, b) => {
      rows.set(state.branchRow(b, length - 1), b * width);
    });
    const ids = this.#chosenIds(clean.answerId);
    const normed = members.map(() => true);
    const read = await unembed(this.#model, rows, normed, { k: 1, chosen: ids });
    members.forEach(({ experiment, point }, b) => {
      const { detail, edgesLeft } = point;
      this.#sink({
        type: "branch.result",
        experiment: experiment.id,
        series: point.series,
        layer: point.layer,
        window: point.window,
        ...compareToClean(clean, this.#lastReading(read, b, ids), truthId),
        ...optionsOf(read, b, options),
        ...(edgesLeft === undefined ? {} : { edges_left: edgesLeft }),
        ...(detail === undefined ? {} : { detail }),
      });
    });
  }

  /** Option tokens first, then the clean answer, then the right one. */
  #chosenIds(answerId: number): Int32Array {
    const { options, truthId } = this.#prompt;
    const extra = truthId === undefined ? [answerId] : [answerId, truthId];
    return Int32Array.from([...options.map(({ tokenId }) => tokenId), ...extra]);
  }

  #lastReading(read: Unembedded, row: number, ids: Int32Array): LastReading {
    const answerId = read.topIds[row * read.k] ?? 0;
    return {
      answerId,
      answer: this.#prompt.tokenText(answerId),
      probabilityOf: (id) => {
        const column = ids.indexOf(id);
        if (column < 0) throw new Error(`token ${id} was not asked for`);
        return read.chosen[row * ids.length + column] ?? 0;
      },
    };
  }

  /** Progress as a share of the pass's multiply-adds, with the time left at the pace so far. */
  #progress(phase: "decoder" | "experiment", work: readonly number[]) {
    const all = total(work);
    const started = performance.now();
    return (layer: number, share: number) => {
      const done = total(work.slice(0, layer)) + share * (work[layer] ?? 0);
      const elapsed = (performance.now() - started) / 1000;
      this.#sink({
        type: "progress",
        phase,
        done: all > 0 ? done / all : 1,
        total: 1,
        ...(done > 0 ? { secondsLeft: (elapsed * (all - done)) / done } : {}),
      });
    };
  }
}

function optionsOf(
  read: Unembedded,
  row: number,
  options: readonly RunOption[],
): { options: Record<string, number> } {
  const columns = read.chosen.length / (read.topIds.length / read.k);
  return {
    options: Object.fromEntries(
      options.map(({ label }, i) => [label, read.chosen[row * columns + i] ?? 0]),
    ),
  };
}
