import { CancelledError } from "../../common/errors.ts";
import { newExperimentId } from "../../common/experiment-id.ts";
import { EngineDiedError } from "../../engine/service/died.ts";
import type { EventSink, ProgressEvent, RunEvent } from "../../protocol/events.ts";
import type { ExperimentRequest, Observations } from "../../protocol/experiments/schemas.ts";
import type { AnalysisJob, ContinuedRun } from "../../protocol/requests.ts";
import type { RunSession } from "../runs/session.ts";
import { NO_OBSERVATIONS } from "./jobs.ts";
import type { EngineLink } from "./link.ts";

/** Where events of a run are kept. */
export interface EventLog {
  append(event: RunEvent): void;
  /** Resolves when everything is on the disk. */
  close(): Promise<void>;
}

/** What the user should be told about a task that did not finish by itself. */
export interface TaskFailure {
  readonly kind: "died" | "refused";
  readonly session: RunSession;
  readonly task: EngineTask;
  readonly message: string;
}

export interface ExperimenterHooks {
  /** Opens the run file to append to it; may wait until another program has closed it. */
  openLog(session: RunSession, signal: AbortSignal): Promise<EventLog>;
  onFailure(failure: TaskFailure): void;
  /** The queue, the running task's progress, or both changed. */
  onChange(): void;
}

/** What the engine is asked to do for a run. */
export type EngineTask =
  | { readonly kind: "analyze"; readonly job: AnalysisJob }
  | { readonly kind: "experiment"; readonly request: ExperimentRequest }
  | { readonly kind: "observe"; readonly observations: Observations };

interface QueuedTask {
  readonly session: RunSession;
  readonly task: EngineTask;
  readonly abort: AbortController;
  settle(): void;
}

/**
 * The queue of one window's engine: tasks run one after another, their events go to the session and
 * to the run file, and every end (finished, cancelled, refused, died) leaves both whole.
 */
export class Experimenter {
  readonly #queue: QueuedTask[] = [];
  #current: QueuedTask | undefined;
  #progress: ProgressEvent | undefined;
  /** The run whose clip and question the engine process holds. */
  #prepared: RunSession | undefined;
  /** What the engine died of, by run. */
  readonly #died = new WeakMap<RunSession, EngineTask>();

  constructor(
    private readonly link: EngineLink,
    private readonly hooks: ExperimenterHooks,
  ) {}

  /** The run that is worked on, and where it is. */
  get running(): { readonly session: RunSession; readonly progress?: ProgressEvent } | undefined {
    if (this.#current === undefined) return undefined;
    const { session } = this.#current;
    return this.#progress === undefined ? { session } : { session, progress: this.#progress };
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Why a run can take no further experiments, in one sentence; null when it can. */
  refusal(session: RunSession): string | null {
    if (session.job !== null) return null;
    return "This file does not say which clip and model it was made of.";
  }

  /**
   * Queues a task of a run; resolves when it has ended, however it did.
   *
   * @throws Error when the run can take no further experiments.
   */
  submit(session: RunSession, task: EngineTask): Promise<void> {
    const refusal = this.refusal(session);
    if (refusal !== null) throw new Error(refusal);
    return new Promise((settle) => {
      this.#queue.push({ session, task, abort: new AbortController(), settle });
      this.#tellQueued();
      this.#next();
    });
  }

  /** Stops the work of one run, or of all. */
  cancel(session?: RunSession): void {
    const concerned = (item: QueuedTask) => session === undefined || item.session === session;
    const dropped = this.#queue.filter(concerned);
    const kept = this.#queue.filter((item) => !concerned(item));
    this.#queue.splice(0, this.#queue.length, ...kept);
    for (const item of dropped) {
      if (item.session !== this.#current?.session) item.session.setEngine({ kind: "idle" });
      item.settle();
    }
    this.#tellQueued();
    if (this.#current !== undefined && concerned(this.#current)) this.#current.abort.abort();
  }

  /** Ends the engine process, cancelling what runs; the next task starts a new one. */
  restart(): void {
    this.#current?.abort.abort();
    this.#prepared = undefined;
    this.link.restart();
  }

  /** Restarts the engine and does again what a run was at when it died. */
  retry(session: RunSession): Promise<void> {
    const task = this.#died.get(session);
    this.#died.delete(session);
    this.restart();
    if (session.engine.kind === "died") session.setEngine({ kind: "idle" });
    return task === undefined ? Promise.resolve() : this.submit(session, task);
  }

  #tellQueued(): void {
    const ahead = this.#current === undefined ? 0 : 1;
    for (const [index, { session }] of this.#queue.entries()) {
      if (session === this.#current?.session) continue;
      session.setEngine({ kind: "queued", ahead: ahead + index });
    }
    this.hooks.onChange();
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const item = this.#queue.shift();
    if (item === undefined) return;
    this.#current = item;
    this.#progress = undefined;
    item.session.setEngine({ kind: "running" });
    this.#tellQueued();
    this.#work(item).finally(() => {
      this.#current = undefined;
      this.#progress = undefined;
      item.settle();
      this.hooks.onChange();
      this.#next();
    });
  }

  async #work({ session, task, abort }: QueuedTask): Promise<void> {
    let log: EventLog | undefined;
    let finished = false;
    const take: EventSink = (event) => {
      if (event.type === "run.finished") finished = true;
      if (event.type === "progress") this.#progress = event;
      else log?.append(event);
      session.add(event);
      if (event.type === "progress") this.hooks.onChange();
    };
    // What fails before the engine is asked still ends the run for whoever watches it.
    const finish = (status: "cancelled" | "failed", message: string) => {
      if (!finished) take({ type: "run.finished", status, message, seconds: 0 });
    };
    try {
      log = await this.hooks.openLog(session, abort.signal);
      await this.#perform(session, task, take, abort.signal);
      session.setEngine({ kind: "idle" });
    } catch (error) {
      this.#prepared = undefined;
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof CancelledError || abort.signal.aborted) {
        finish("cancelled", "cancelled");
        session.setEngine({ kind: "idle" });
      } else if (error instanceof EngineDiedError) {
        finish("failed", message);
        this.#died.set(session, task);
        session.setEngine({ kind: "died", message });
        this.hooks.onFailure({ kind: "died", session, task, message });
      } else {
        finish("failed", message);
        session.setEngine({ kind: "idle" });
        this.hooks.onFailure({ kind: "refused", session, task, message });
      }
    } finally {
      await log?.close().catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        const message = `${session.file} could not be written: ${why}`;
        this.hooks.onFailure({ kind: "refused", session, task, message });
      });
    }
  }

  async #perform(
    session: RunSession,
    task: EngineTask,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<void> {
    if (task.kind === "analyze") {
      // An analysis that is made once more, after its engine died, goes on with the same run.
      await this.link.run({ ...task.job, continues: continued(session, false) }, sink, signal);
      this.#prepared = session;
      return;
    }
    await this.#prepare(session, sink, signal);
    if (task.kind === "observe") return this.link.observe(task.observations, sink, signal);
    return this.link.experiment(task.request, newExperimentId(task.request.kind), sink, signal);
  }

  /**
   * Brings a run back into the engine process, which makes sure that its input is still the same. Its
   * known events are not told again.
   */
  async #prepare(session: RunSession, sink: EventSink, signal: AbortSignal): Promise<void> {
    if (this.#prepared === session || session.job === null) return;
    const quietly: EventSink = (event) => {
      if (event.type === "progress" || event.type === "notice") sink(event);
    };
    const job = {
      ...session.job,
      observe: NO_OBSERVATIONS,
      experiments: [],
      continues: continued(session, true),
    };
    await this.link.run(job, quietly, signal);
    this.#prepared = session;
  }
}

/** The run that a session's next job goes on with; undefined when it has not begun. */
function continued(session: RunSession, cleanKnown: boolean): ContinuedRun | undefined {
  const started = session.last("run.started");
  return started === undefined ? undefined : { file: session.file, started, cleanKnown };
}
