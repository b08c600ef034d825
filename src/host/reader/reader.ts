import { fileURLToPath } from "node:url";
import { type ChildProgram, sourceSwitches } from "../../engine/service/environment.ts";
import { ReaderPool } from "./pool.ts";
import type { ReaderTaskName, ReaderTasks } from "./tasks.ts";
import type { ReaderBounds } from "./worker.ts";

/** Files: each is read in seconds, or not at all. */
const FILES: ReaderBounds = { longestMs: 15_000, silentMs: 15_000, heapMiB: 768 };
/** Whole runs: up to a gigabyte, as fast as the disk gives it. */
const RUNS: ReaderBounds = { longestMs: 300_000, silentMs: 30_000, heapMiB: 2_048 };
/** The hub: as long as it takes, while something happens. */
const HUB: ReaderBounds = { silentMs: 30_000, heapMiB: 768 };

const IDLE_MS = 30_000;

const POOL_OF = {
  describeModel: "files",
  cachedModels: "files",
  summarizeRun: "files",
  checkPrompts: "files",
  promptFileBeside: "files",
  readRun: "runs",
  searchHub: "hub",
  planDownload: "hub",
  download: "hub",
} as const satisfies Record<ReaderTaskName, "files" | "runs" | "hub">;

export interface AskOptions<N extends ReaderTaskName> {
  readonly signal?: AbortSignal;
  onNote?(note: ReaderTasks[N]["note"]): void;
}

/** Asks for what is in foreign files. */
export interface Reader {
  /**
   * Reads something in a process of its own.
   *
   * @param subject what is read, for messages: a path or a name.
   * @throws InputError, ModelError, HubError as the task does, InputError also when it takes too much
   *   time or memory; CancelledError.
   */
  ask<N extends ReaderTaskName>(
    name: N,
    subject: string,
    params: ReaderTasks[N]["params"],
    options?: AskOptions<N>,
  ): Promise<ReaderTasks[N]["result"]>;
}

/** The program of a reader process: beside the bundle that asks, or its source when that is run. */
function readerProgram(asker: string = import.meta.url): ChildProgram {
  if (!asker.endsWith(".ts")) {
    return { path: fileURLToPath(new URL("./reader.js", asker)), execArgv: [] };
  }
  return { path: fileURLToPath(new URL("./main.ts", asker)), execArgv: sourceSwitches() };
}

/**
 * Reads foreign files outside of the extension host, which all extensions of a window share: what
 * blocks, crashes or fills the memory does so in a process that is ended then.
 */
export class ReaderProcesses implements Reader {
  readonly #pools: Readonly<Record<"files" | "runs" | "hub", ReaderPool>>;

  constructor(log: (line: string) => void = () => {}, program = readerProgram()) {
    const pool = (bounds: ReaderBounds, size: number) =>
      new ReaderPool({ program, bounds, size, idleMs: IDLE_MS, log });
    this.#pools = { files: pool(FILES, 2), runs: pool(RUNS, 1), hub: pool(HUB, 3) };
  }

  /** Files are about to be read: the process is started meanwhile. */
  warm(): void {
    this.#pools.files.warm();
  }

  async ask<N extends ReaderTaskName>(
    name: N,
    subject: string,
    params: ReaderTasks[N]["params"],
    { signal, onNote }: AskOptions<N> = {},
  ): Promise<ReaderTasks[N]["result"]> {
    const task = {
      name,
      params,
      subject,
      signal,
      onNote: (note: unknown) => onNote?.(note as ReaderTasks[N]["note"]),
    };
    const result = await this.#pools[POOL_OF[name]].perform(task);
    return result as ReaderTasks[N]["result"];
  }

  dispose(): void {
    for (const pool of Object.values(this.#pools)) pool.dispose();
  }
}
