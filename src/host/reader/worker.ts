import { type ChildProcess, fork } from "node:child_process";
import { CancelledError, InputError } from "../../common/errors.ts";
import { type ChildProgram, childEnvironment } from "../../engine/service/environment.ts";
import { type FromReader, fromReaderError, type ToReader } from "./protocol.ts";

/** Bounds of one task. */
export interface ReaderBounds {
  /** The task's longest time; absent: none, as for a download. */
  readonly longestMs?: number;
  /** Longest time without any sign of life: the process is stuck in one step. */
  readonly silentMs: number;
  /** The process's heap of JavaScript, in MiB. */
  readonly heapMiB: number;
}

/** A task as it is given to a process. */
export interface ReaderTask {
  readonly name: string;
  readonly params: unknown;
  /** What is read, for messages: a path or a name. */
  readonly subject: string;
  readonly signal?: AbortSignal | undefined;
  onNote?(note: unknown): void;
}

/** After a cancellation the process may put its files in order for this long. */
const GRACE_MS = 2_000;

interface Current {
  readonly id: number;
  readonly task: ReaderTask;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** One reader process, which does one task at a time; a task out of bounds ends it. */
export class ReaderWorker {
  readonly #child: ChildProcess;
  readonly #bounds: ReaderBounds;
  #current: Current | undefined;
  #silence: NodeJS.Timeout | undefined;
  #nextId = 0;
  #ended = false;

  constructor(program: ChildProgram, bounds: ReaderBounds, log: (line: string) => void) {
    this.#bounds = bounds;
    this.#child = fork(program.path, [], {
      execArgv: [...program.execArgv, `--max-old-space-size=${bounds.heapMiB}`],
      env: childEnvironment(),
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8");
    this.#child.stderr?.on("data", (text: string) => log(text.slice(0, 2_000).trimEnd()));
    this.#child.on("message", (message: FromReader) => this.#receive(message));
    this.#child.once("error", (error) => this.#end(error.message));
    this.#child.once("close", () => this.#end(undefined));
  }

  /** Whether it takes no more tasks. */
  get ended(): boolean {
    return this.#ended;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Does a task; its notes come before it settles.
   *
   * @throws what the task throws; CancelledError after the signal; InputError when it passes its
   *   bounds, or the process dies of it.
   */
  async perform(task: ReaderTask): Promise<unknown> {
    const { signal, subject } = task;
    if (signal?.aborted) throw new CancelledError();
    const id = this.#nextId++;
    const { longestMs } = this.#bounds;
    let grace: NodeJS.Timeout | undefined;
    const onAbort = () => {
      this.#tell({ kind: "cancel", id });
      grace = setTimeout(() => this.#stop(new CancelledError()), GRACE_MS);
    };
    const limit =
      longestMs === undefined
        ? undefined
        : setTimeout(() => this.#stop(tooLong(subject, longestMs)), longestMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#current = { id, task, resolve, reject };
        if (this.#ended) this.#fail(new InputError(`${subject}: the reader has ended`));
        this.#tell({ kind: "task", id, name: task.name, params: task.params });
        this.#listenForLife();
      });
    } finally {
      clearTimeout(limit);
      clearTimeout(grace);
      clearTimeout(this.#silence);
      signal?.removeEventListener("abort", onAbort);
      this.#current = undefined;
    }
  }

  /** Ends the process; a task under way is cancelled. */
  stop(): void {
    this.#stop(new CancelledError());
  }

  #receive(message: FromReader): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#listenForLife();
    if (message.kind === "alive" || message.id !== current.id) return;
    if (message.kind === "note") {
      try {
        current.task.onNote?.(message.note);
      } catch (error) {
        this.#stop(error instanceof Error ? error : new Error(String(error)));
      }
    } else if (message.kind === "result") current.resolve(message.result);
    else current.reject(fromReaderError(message.error));
  }

  #listenForLife(): void {
    clearTimeout(this.#silence);
    const { silentMs } = this.#bounds;
    const subject = this.#current?.task.subject ?? "";
    this.#silence = setTimeout(() => this.#stop(tooLong(subject, silentMs)), silentMs);
  }

  #tell(message: ToReader): void {
    // A process that is gone is told of by its "close".
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #stop(reason: Error): void {
    this.#ended = true;
    this.#fail(reason);
    this.#child.kill("SIGKILL");
  }

  #end(why: string | undefined): void {
    this.#ended = true;
    const subject = this.#current?.task.subject ?? "";
    const said = why ?? `reading it takes more than ${this.#bounds.heapMiB} MB of memory`;
    this.#fail(new InputError(`${subject}: cannot be read here: ${said}`));
  }

  #fail(reason: Error): void {
    this.#current?.reject(reason);
  }
}

function tooLong(subject: string, ms: number): InputError {
  return new InputError(
    `${subject}: cannot be read here: it takes longer than ${ms / 1000} s; the file may be damaged, ` +
      "or made to be slow to read",
  );
}
