import { type FileHandle, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { InputError } from "../common/errors.ts";
import { fileFailure } from "../common/file-failure.ts";
import { makeFolder } from "../common/folders.ts";
import type { RunEvent } from "../protocol/events.ts";
import { encodeEvent } from "./codec.ts";
import { fileStart } from "./file.ts";

const LINE_FEED = 0x0a;

/**
 * Writes a run's events to its file as they happen, one line each, in order. Progress is not written.
 * A new file begins with `run.started`: what is told before that waits for it. When the disk is full
 * or fails, what was written before stays whole: a line that did not fit is taken back, later events are dropped, and `close` rejects with the reason.
 */
export class RunWriter {
  readonly path: string;
  /** Resolves with the reason as soon as writing has failed, so that work can stop early. */
  readonly failed: Promise<InputError>;
  readonly #file: FileHandle;
  /** Whether the path held nothing before. */
  readonly #created: boolean;
  #tellFailure: (reason: InputError) => void = () => {};
  #failure: InputError | undefined;
  /** Whether anything was written, or the file is one that exists. */
  #begun: boolean;
  /** Events from before `run.started`; undefined once it came. */
  #early: RunEvent[] | undefined;
  /** What ends a last line that was cut off, before anything follows it. */
  #lead = "";
  #queue: string[] = [];
  #writing = false;
  #pump = Promise.resolve();

  private constructor(path: string, file: FileHandle, start: "absent" | "unstarted" | "run") {
    this.path = path;
    this.#file = file;
    this.#begun = start === "run";
    this.#created = start === "absent";
    this.#early = this.#begun ? undefined : [];
    this.failed = new Promise((resolve) => {
      this.#tellFailure = resolve;
    });
  }

  /**
   * Creates a new run file, and the folders that lead to it. One that a run left before its first
   * event was whole is begun anew.
   *
   * @throws InputError when it exists or cannot be created: known before any work starts.
   */
  static async create(path: string): Promise<RunWriter> {
    try {
      await makeFolder(dirname(path));
      if ((await fileStart(path)) !== "unstarted") {
        return new RunWriter(path, await open(path, "ax"), "absent");
      }
      const file = await open(path, "a");
      await file.truncate(0);
      return new RunWriter(path, file, "unstarted");
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw fileFailure(path, "the run cannot be saved there", error);
    }
  }

  /**
   * Opens a run file to append to it. A last line that was cut off is ended, and stays.
   *
   * @throws InputError when it is not a run, or cannot be written.
   */
  static async append(path: string): Promise<RunWriter> {
    if ((await fileStart(path)) !== "run") {
      throw new InputError(`${path}: exists and is not a Flowprobe run; choose another file`);
    }
    try {
      const file = await open(path, "a+");
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      await file.read(last, 0, 1, Math.max(0, size - 1));
      const writer = new RunWriter(path, file, "run");
      if (last[0] !== LINE_FEED) writer.#lead = "\n";
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
    if (this.#created && !this.#begun) await unlink(this.path).catch(() => {});
    if (this.#failure !== undefined) throw this.#failure;
  }

  #enqueue(text: string): void {
    this.#queue.push(this.#lead + text);
    this.#lead = "";
    if (!this.#writing) this.#pump = this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let text = this.#queue.shift(); text !== undefined; text = this.#queue.shift()) {
      try {
        await this.#writeLine(Buffer.from(text, "utf8"));
        this.#begun = true;
      } catch (error) {
        this.#queue = [];
        this.#fail(error);
      }
    }
    this.#writing = false;
  }

  /** Writes a whole line, or takes back what was written of it, as only whole lines stay. */
  async #writeLine(bytes: Buffer): Promise<void> {
    const { size: before } = await this.#file.stat();
    let done = 0;
    try {
      while (done < bytes.length) {
        const { bytesWritten } = await this.#file.write(bytes, done);
        done += bytesWritten;
      }
    } catch (error) {
      const { size } = await this.#file.stat();
      // What another program appended meanwhile, without the lock, is not cut off.
      if (size === before + done) await this.#file.truncate(before).catch(() => {});
      else if (done > 0) await this.#file.write("\n").catch(() => {});
      throw error;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= fileFailure(this.path, "the run could not be saved any further", error);
    this.#tellFailure(this.#failure);
  }
}
