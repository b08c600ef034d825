import { type FileHandle, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { InputError } from "../common/errors.ts";
import { fileFailure } from "../common/file-failure.ts";
import { makeFolder } from "../common/folders.ts";
import type { RunEvent } from "../protocol/events.ts";
import { encodeEvent } from "./codec.ts";
import { readEvents } from "./file.ts";

const LINE_FEED = 0x0a;

/**
 * Writes a run's events to its file as they happen, one line each, in order. Progress is not written.
 * A new file begins with `run.started`: what is told before that waits for it. When the disk is full or fails, what was written before stays whole: a line that did not fit is
 * taken back, later events are dropped, and `close` rejects with the reason.
 */
export class RunWriter {
  readonly path: string;
  /** Resolves with the reason as soon as writing has failed, so that work can stop early. */
  readonly failed: Promise<InputError>;
  readonly #file: FileHandle;
  readonly #created: boolean;
  #tellFailure: (reason: InputError) => void = () => {};
  #failure: InputError | undefined;
  /** Bytes of whole lines. */
  #size: number;
  /** Events from before `run.started`; undefined once it came. */
  #early: RunEvent[] | undefined;
  #queue: string[] = [];
  #writing = false;
  #pump = Promise.resolve();

  private constructor(path: string, file: FileHandle, size: number, created: boolean) {
    this.path = path;
    this.#file = file;
    this.#size = size;
    this.#created = created;
    this.#early = created ? [] : undefined;
    this.failed = new Promise((resolve) => {
      this.#tellFailure = resolve;
    });
  }

  /**
   * Creates a new run file, and the folders that lead to it.
   *
   * @throws InputError when it exists or cannot be created: known before any work starts.
   */
  static async create(path: string): Promise<RunWriter> {
    try {
      await makeFolder(dirname(path));
      return new RunWriter(path, await open(path, "ax"), 0, true);
    } catch (error) {
      throw fileFailure(path, "the run cannot be saved there", error);
    }
  }

  /**
   * Opens a run file to append to it. A last line that was cut off is ended, and stays.
   *
   * @throws InputError when it is not a run, or cannot be written.
   */
  static async append(path: string): Promise<RunWriter> {
    await requireRun(path);
    try {
      const file = await open(path, "a+");
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      await file.read(last, 0, 1, Math.max(0, size - 1));
      const writer = new RunWriter(path, file, size, false);
      if (last[0] !== LINE_FEED) writer.#enqueue("\n");
      return writer;
    } catch (error) {
      throw fileFailure(path, "the run cannot be continued", error);
    }
  }

  /** Takes an event; it is on its way to the disk when this returns. Never throws. */
  append(event: RunEvent): void {
    if (event.type === "progress" || this.#failure !== undefined) return;
    if (this.#early !== undefined && event.type !== "run.started") {
      this.#early.push(event);
      return;
    }
    const events = [event, ...(this.#early ?? [])];
    this.#early = undefined;
    for (const each of events) this.#enqueue(`${encodeEvent(each)}\n`);
  }

  /** Resolves when all events taken so far were handed to the system, or writing has failed. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#pump;
  }

  /**
   * Ends the file, on the disk when it resolves. A new file is removed when its run never started.
   *
   * @throws InputError when not everything could be written.
   */
  async close(): Promise<void> {
    await this.flush();
    try {
      if (this.#failure === undefined) await this.#file.sync();
    } catch (error) {
      this.#fail(error);
    }
    await this.#file.close();
    if (this.#created && this.#size === 0) await unlink(this.path).catch(() => {});
    if (this.#failure !== undefined) throw this.#failure;
  }

  #enqueue(text: string): void {
    this.#queue.push(text);
    if (!this.#writing) this.#pump = this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let text = this.#queue.shift(); text !== undefined; text = this.#queue.shift()) {
      try {
        const bytes = Buffer.from(text, "utf8");
        await this.#writeAll(bytes);
        this.#size += bytes.length;
      } catch (error) {
        this.#queue = [];
        // Only whole lines stay.
        await this.#file.truncate(this.#size).catch(() => {});
        this.#fail(error);
      }
    }
    this.#writing = false;
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done);
      done += bytesWritten;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= fileFailure(this.path, "the run could not be saved any further", error);
    this.#tellFailure(this.#failure);
  }
}

/** @throws InputError unless the file begins as a run of ours does. */
async function requireRun(path: string): Promise<void> {
  for await (const line of readEvents(path)) {
    if (line.kind === "event" && line.event.type === "run.started") return;
    break;
  }
  throw new InputError(`${path}: exists and is not a Flowprobe run; choose another file`);
}
