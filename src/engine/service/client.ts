import { CancelledError } from "../../common/errors.ts";
import type { EventSink } from "../../protocol/events.ts";
import type { ExperimentRequest, Observations } from "../../protocol/experiments/schemas.ts";
import type { AnalysisJob, EngineSettings } from "../../protocol/requests.ts";
import type { JobForecast, ModelDescription } from "../engine.ts";
import { EngineDiedError } from "./died.ts";
import { type ChildProgram, engineProgram } from "./environment.ts";
import { EngineProcess } from "./process.ts";
import type { EngineRequest, EngineResults } from "./protocol.ts";

/**
 * How long the engine may take to stop by itself. It looks between its graphs; a longer native call
 * is ended with its process, so that a cancellation takes effect within a second.
 */
const GRACE_MS = 600;

export interface EngineClientOptions {
  readonly settings: EngineSettings;
  /** The child's program; absent: the engine beside this module. */
  readonly program?: ChildProgram;
  /** Receives what the engine's process prints, and when it starts and ends, line by line. */
  readonly log?: (line: string) => void;
}

const NO_SIGNAL = new AbortController().signal;
const IGNORE = () => {};

/** The process was ended on purpose while it did something else. */
class ReplacedError extends Error {}

/**
 * The engine in a process of its own, which is started on demand and replaced when it dies, must be
 * stopped, or is to open another model. Tasks run one at a time, in the order in which they were asked
 * for; every one of them ends with a `run.finished` event, whatever happens.
 *
 * Tasks reject with InputError, ModelError, CancelledError (within a second after the signal), or
 * EngineDiedError when the process ended by itself; any other error is a bug.
 */
export class EngineClient {
  readonly #program: ChildProgram;
  readonly #log: (line: string) => void;
  #settings: EngineSettings;
  #process: EngineProcess | undefined;
  /** Resolves when the process before is gone and its memory free. */
  #gone: Promise<void> = Promise.resolve();
  /** Model that the process has opened. */
  #model: string | undefined;
  #tail: Promise<void> = Promise.resolve();
  /** Whether the running process was made with the settings as they are now. */
  #outdated = false;
  #disposed = false;

  constructor(options: EngineClientOptions) {
    this.#settings = options.settings;
    this.#program = options.program ?? engineProgram();
    this.#log = options.log ?? IGNORE;
  }

  /** Process id of the engine; undefined while none runs. */
  get pid(): number | undefined {
    return this.#process?.ended === false ? this.#process.pid : undefined;
  }

  /** Settings for all tasks that have not begun; other ones than before replace the process. */
  configure(settings: EngineSettings): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    this.#settings = settings;
    this.#outdated = true;
  }

  /**
   * Describes a model folder, also while a task runs.
   *
   * @throws ModelError when it cannot be used.
   */
  async describe(folder: string): Promise<ModelDescription> {
    for (;;) {
      try {
        const process = await this.#running();
        return await process.request({ kind: "describe", folder }, IGNORE).result;
      } catch (error) {
        if (!(error instanceof ReplacedError)) throw error;
      }
    }
  }

  /** What a job will need. Opens the model. */
  forecast(job: AnalysisJob, signal: AbortSignal = NO_SIGNAL): Promise<JobForecast> {
    return this.#queued(signal, async () => {
      await this.#requireModel(job.model);
      return this.#perform({ kind: "forecast", job }, IGNORE, signal);
    });
  }

  /** Starts the process, unless one runs, so that the next task finds it there. */
  start(): void {
    this.#running().catch(IGNORE);
  }

  /**
   * Starts the process and opens a model in it, so that the model's first run need not wait for that.
   *
   * @throws ModelError when the model cannot be used.
   */
  warm(folder: string): Promise<void> {
    return this.#queued(NO_SIGNAL, async () => {
      await this.#requireModel(folder);
      await this.#perform({ kind: "warm", folder }, IGNORE, NO_SIGNAL);
    });
  }

  /** Analyzes a clip and a question; the run stays prepared for `experiment` and `observe`. */
  run(job: AnalysisJob, sink: EventSink, signal: AbortSignal = NO_SIGNAL): Promise<void> {
    return this.#task({ kind: "run", job }, sink, signal, job.model);
  }

  /** One more experiment on the run made last, its events under this id. */
  experiment(
    request: ExperimentRequest,
    id: string,
    sink: EventSink,
    signal: AbortSignal = NO_SIGNAL,
  ): Promise<void> {
    return this.#task({ kind: "experiment", request, experiment: id }, sink, signal);
  }

  /** Observes the clean pass of the run made last once more. */
  observe(
    observations: Observations,
    sink: EventSink,
    signal: AbortSignal = NO_SIGNAL,
  ): Promise<void> {
    return this.#task({ kind: "observe", observations }, sink, signal);
  }

  /** Ends the process; a task that runs is cancelled, and the next one starts a new process. */
  restart(): void {
    this.#stop("the engine was restarted");
  }

  /** Ends the process for good. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#stop("the engine was stopped");
    await this.#gone;
  }

  #task(
    request: Extract<EngineRequest, { kind: "run" | "experiment" | "observe" }>,
    sink: EventSink,
    signal: AbortSignal,
    model?: string,
  ): Promise<void> {
    let begun: number | undefined;
    const finish = (status: "done" | "cancelled" | "failed", message?: string) => {
      const seconds = begun === undefined ? 0 : (performance.now() - begun) / 1000;
      sink({
        type: "run.finished",
        status,
        ...(message === undefined ? {} : { message }),
        seconds,
      });
    };
    return this.#queued(signal, async () => {
      begun = performance.now();
      if (model !== undefined) await this.#requireModel(model);
      await this.#perform(request, sink, signal);
    }).then(
      () => finish("done"),
      (error: unknown) => {
        if (error instanceof CancelledError) finish("cancelled");
        else finish("failed", error instanceof Error ? error.message : String(error));
        throw error;
      },
    );
  }

  /** Waits for its turn, then works; the next in the queue waits until that is over. */
  #queued<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turn = this.#tail;
    const done = turn.then(async () => {
      if (signal.aborted) throw new CancelledError();
      return work();
    });
    this.#tail = done.then(IGNORE, IGNORE);
    return unlessAborted(done, turn, signal);
  }

  /** Sends a request and sees to its cancellation. */
  async #perform<K extends EngineRequest["kind"]>(
    request: Extract<EngineRequest, { kind: K }>,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<EngineResults[K]> {
    const process = await this.#running();
    if (signal.aborted) throw new CancelledError();
    const ticket = process.request<K>(request, sink);
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      const asked = performance.now();
      const tell = () => this.#log(`cancelled in ${Math.round(performance.now() - asked)} ms`);
      ticket.result.then(tell, tell);
      ticket.cancel();
      timer = setTimeout(() => {
        this.#log("the engine did not stop in time; its process is replaced");
        if (this.#process === process) this.#stop("cancelled");
      }, GRACE_MS);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await ticket.result;
    } catch (error) {
      if (error instanceof ReplacedError) throw new CancelledError(error.message);
      // A process that ends while it is being stopped has been stopped.
      throw signal.aborted && error instanceof EngineDiedError ? new CancelledError() : error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Replaces a process that has another model open: sessions that come and go leak. */
  async #requireModel(folder: string): Promise<void> {
    const other = this.#model !== undefined && this.#model !== folder;
    if (other || this.#outdated) this.#stop("the engine was replaced");
    await this.#running();
    this.#model = folder;
  }

  async #running(): Promise<EngineProcess> {
    await this.#gone;
    if (this.#disposed) throw new CancelledError("the engine was stopped");
    if (this.#process !== undefined && !this.#process.ended) return this.#process;
    const process = new EngineProcess(this.#program, this.#settings, this.#log);
    this.#process = process;
    this.#model = undefined;
    this.#outdated = false;
    this.#log(`engine process ${process.pid ?? "?"} started`);
    process.gone.then(() => this.#log(`engine process ${process.pid ?? "?"} ended`), IGNORE);
    return process;
  }

  #stop(reason: string): void {
    const process = this.#process;
    if (process === undefined || process.ended) return;
    process.kill(new ReplacedError(reason));
    this.#gone = process.gone;
  }
}

/** The result, or CancelledError as soon as the signal is aborted while its turn has not come. */
function unlessAborted<T>(done: Promise<T>, turn: Promise<void>, signal: AbortSignal): Promise<T> {
  let waiting = true;
  turn.then(() => {
    waiting = false;
  }, IGNORE);
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => {
      if (waiting) reject(new CancelledError());
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    done.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
