import { failureReason } from "../../common/file-failure.ts";
import type { CleanLayout } from "./layout.ts";
import type { CleanRecord } from "./record.ts";
import type { CleanStore } from "./store.ts";
import type { CleanWriter } from "./writer.ts";

/** The clean run of one prompt: kept by an earlier pass, or to be kept by the next one. */
export class KeptRun {
  readonly #store: CleanStore;
  readonly #key: string;
  readonly #layout: CleanLayout;
  #record: CleanRecord | undefined;
  /** Why it is not kept; told once. */
  #failed = false;

  private constructor(
    store: CleanStore,
    key: string,
    layout: CleanLayout,
    record: CleanRecord | undefined,
  ) {
    this.#store = store;
    this.#key = key;
    this.#layout = layout;
    this.#record = record;
  }

  static async find(store: CleanStore, key: string, layout: CleanLayout): Promise<KeptRun> {
    return new KeptRun(store, key, layout, await store.find(key, layout));
  }

  /** What branches and readings can start from; undefined where nothing is kept. */
  get record(): CleanRecord | undefined {
    return this.#record;
  }

  /**
   * Runs a pass that computes the clean rows, and keeps them where they are not.
   *
   * @param pass given what to write to, if anything.
   * @returns a sentence on why they could not be kept, once.
   */
  async keep(
    pass: (writer: CleanWriter | undefined) => Promise<void>,
  ): Promise<string | undefined> {
    const begun = await this.#begin();
    const { writer } = begun;
    let { problem } = begun;
    let whole = false;
    try {
      await pass(writer);
      whole = true;
    } finally {
      if (writer !== undefined) problem = await this.#store.end(this.#key, writer, whole);
    }
    if (writer !== undefined && problem === undefined) {
      this.#record = await this.#store.find(this.#key, this.#layout);
    }
    if (problem === undefined || this.#failed) return undefined;
    this.#failed = true;
    return (
      `the clean run is not kept: ${this.#store.folder} cannot be written ` +
      `(${failureReason(problem)}); each further experiment computes it again`
    );
  }

  /** Gives up what is kept: it is damaged. */
  async drop(): Promise<void> {
    this.close();
    await this.#store.drop(this.#key);
  }

  /** Closes the file. */
  close(): void {
    this.#record?.close();
    this.#record = undefined;
  }

  async #begin(): Promise<{ writer?: CleanWriter | undefined; problem?: unknown }> {
    if (this.#record !== undefined || this.#failed) return {};
    try {
      return { writer: await this.#store.begin(this.#key, this.#layout) };
    } catch (problem) {
      return { problem };
    }
  }
}
