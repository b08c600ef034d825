import { CancelledError } from "../../common/errors.ts";
import type { ChildProgram } from "../../engine/service/environment.ts";
import { type ReaderBounds, type ReaderTask, ReaderWorker } from "./worker.ts";

export interface PoolOptions {
  readonly program: ChildProgram;
  readonly bounds: ReaderBounds;
  /** Processes at most. */
  readonly size: number;
  /** An unused process ends after this. */
  readonly idleMs: number;
  log(line: string): void;
}

interface Waiting {
  readonly task: ReaderTask;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/**
 * Reader processes, started on demand and ended when unused. Each does one task at a time, so that
 * what blocks or kills a process is known, and takes nothing else with it.
 */
export class ReaderPool {
  readonly #options: PoolOptions;
  readonly #waiting: Waiting[] = [];
  readonly #idle = new Map<ReaderWorker, NodeJS.Timeout>();
  readonly #busy = new Set<ReaderWorker>();
  #disposed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Process ids, for tests. */
  get pids(): number[] {
    const workers = [...this.#busy, ...this.#idle.keys()];
    return workers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /** Starts a process, unless one waits: a task is about to come. */
  warm(): void {
    if (this.#disposed || this.#busy.size + this.#idle.size > 0) return;
    this.#rest(this.#start());
  }

  /** Does a task, in its turn. */
  perform(task: ReaderTask): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject });
      this.#next();
    });
  }

  /** Ends all processes; tasks under way are cancelled. */
  dispose(): void {
    this.#disposed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(new CancelledError());
    for (const timer of this.#idle.values()) clearTimeout(timer);
    for (const worker of [...this.#busy, ...this.#idle.keys()]) worker.stop();
    this.#idle.clear();
  }

  #next(): void {
    if (this.#waiting.length === 0) return;
    if (this.#disposed) {
      for (const { reject } of this.#waiting.splice(0)) reject(new CancelledError());
      return;
    }
    const worker = this.#take();
    if (worker === undefined) return;
    const { task, resolve, reject } = this.#waiting.shift() as Waiting;
    this.#busy.add(worker);
    worker
      .perform(task)
      .then(resolve, reject)
      .finally(() => {
        this.#busy.delete(worker);
        this.#rest(worker);
        this.#next();
      });
    this.#next();
  }

  /** A process that is free, or a new one where there may be another. */
  #take(): ReaderWorker | undefined {
    for (const [worker, timer] of this.#idle) {
      clearTimeout(timer);
      this.#idle.delete(worker);
      if (!worker.ended) return worker;
    }
    return this.#busy.size < this.#options.size ? this.#start() : undefined;
  }

  #start(): ReaderWorker {
    const { program, bounds, log } = this.#options;
    return new ReaderWorker(program, bounds, log);
  }

  #rest(worker: ReaderWorker): void {
    if (worker.ended || this.#disposed) {
      worker.stop();
      return;
    }
    const timer = setTimeout(() => {
      this.#idle.delete(worker);
      worker.stop();
    }, this.#options.idleMs);
    this.#idle.set(worker, timer);
  }
}
