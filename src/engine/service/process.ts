import { type ChildProcess, fork } from "node:child_process";
import { CancelledError } from "../../common/errors.ts";
import type { EventSink } from "../../protocol/events.ts";
import type { EngineSettings } from "../../protocol/requests.ts";
import { describeEnd, EngineDiedError, wasInterrupted } from "./died.ts";
import { type ChildProgram, childEnvironment } from "./environment.ts";
import { LastLines } from "./last-lines.ts";
import {
  type EngineRequest,
  type EngineResults,
  type FromEngine,
  fromErrorMessage,
  type ToEngine,
} from "./protocol.ts";

interface Pending {
  readonly sink: EventSink;
  resolve(result: EngineResults[keyof EngineResults]): void;
  reject(error: Error): void;
}

/** A request under way. */
export interface Ticket<K extends EngineRequest["kind"]> {
  readonly result: Promise<EngineResults[K]>;
  /** Asks the engine to stop; it answers when it can. */
  cancel(): void;
}

/** One engine process: it takes requests until it ends, then all that were under way fail. */
export class EngineProcess {
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #lastLines = new LastLines();
  #nextId = 0;
  #end: Error | undefined;

  /** @param log receives what the process prints, line by line. */
  constructor(program: ChildProgram, settings: EngineSettings, log: (line: string) => void) {
    this.#child = fork(program.path, [], {
      execArgv: [...program.execArgv],
      env: childEnvironment(),
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#listen(log);
    this.gone = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
      // A program that could not be started closes nothing.
      this.#child.once("error", () => resolve());
    });
    this.#tell({ kind: "configure", settings });
  }

  /** Whether it takes no more requests. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a request; its events go to the sink before the result settles. */
  request<K extends EngineRequest["kind"]>(
    request: Extract<EngineRequest, { kind: K }>,
    sink: EventSink,
  ): Ticket<K> {
    const id = this.#nextId++;
    const result = new Promise<EngineResults[keyof EngineResults]>((resolve, reject) => {
      if (this.#end !== undefined) reject(this.#end);
      else {
        this.#pending.set(id, { sink, resolve, reject });
        this.#tell({ kind: "request", id, request });
      }
    });
    return {
      // The reply to a request has the type that its kind says.
      result: result as Promise<EngineResults[K]>,
      cancel: () => this.#tell({ kind: "cancel", id }),
    };
  }

  /** Ends the process at once; what is under way fails with the reason. */
  kill(reason: Error): void {
    this.#fail(reason);
    this.#child.kill("SIGKILL");
  }

  #listen(log: (line: string) => void): void {
    const child = this.#child;
    child.on("message", (message: FromEngine) => this.#receive(message));
    child.once("error", (error) => {
      this.#fail(
        new EngineDiedError(`The engine's process could not be started: ${error.message}`),
      );
    });
    child.once("close", (code, signal) => {
      const { lines: lastLines } = this.#lastLines;
      // While it starts, the process does not yet leave Ctrl-C to the one that asked for it.
      this.#fail(
        wasInterrupted({ code, signal })
          ? new CancelledError()
          : new EngineDiedError(describeEnd({ code, signal, lastLines })),
      );
    });
    lines(child.stdout, log);
    lines(child.stderr, (line) => {
      this.#lastLines.add(line);
      log(line);
    });
  }

  #receive(message: FromEngine): void {
    const pending = this.#pending.get(message.id);
    // A request that was given up may still say something.
    if (pending === undefined) return;
    if (message.kind === "event") {
      try {
        pending.sink(message.event);
      } catch (error) {
        this.#pending.delete(message.id);
        this.#tell({ kind: "cancel", id: message.id });
        pending.reject(error instanceof Error ? error : new Error(String(error)));
      }
      return;
    }
    this.#pending.delete(message.id);
    if (message.kind === "result") pending.resolve(message.result);
    else pending.reject(fromErrorMessage(message.error));
  }

  #tell(message: ToEngine): void {
    // A process that is gone is told of by its "close".
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #fail(reason: Error): void {
    this.#end ??= reason;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(this.#end);
  }
}

/** Calls back for each line that a stream prints. */
function lines(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (text: string) => {
    const parts = (rest + text).split(/\r?\n/);
    rest = parts.pop() ?? "";
    for (const part of parts) take(part);
  });
  stream?.on("end", () => {
    if (rest !== "") take(rest);
  });
}
