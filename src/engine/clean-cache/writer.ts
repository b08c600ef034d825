import { type FileHandle, open, rm } from "node:fs/promises";
import {
  BLOCKS_PER_LAYER,
  blockOffsets,
  bytesOf,
  type CleanLayout,
  checksum,
  headerOf,
} from "./layout.ts";

/**
 * Writes a clean run while it is computed, layer after layer: each is copied, and written while the
 * next one is computed. What goes wrong (a full disk) ends the writing, never the run: it is told by
 * `problem`.
 */
export class CleanWriter {
  /** What went wrong. */
  problem: unknown;
  readonly path: string;
  readonly #header: Buffer;
  readonly #blocks: number;
  readonly #sums: number[] = [];
  readonly #copy: Uint8Array;
  #file: FileHandle | undefined;
  /** What is being written. */
  #writing: Promise<void>;

  /** @param path of a file that does not exist. */
  constructor(path: string, key: string, layout: CleanLayout) {
    this.path = path;
    this.#header = headerOf(key, layout);
    const offsets = blockOffsets(layout);
    this.#blocks = offsets.length - 1;
    this.#copy = new Uint8Array((offsets[BLOCKS_PER_LAYER] ?? 0) - (offsets[0] ?? 0));
    this.#writing = this.#attempt(async () => {
      this.#file = await open(path, "wx", 0o600);
      await this.#write(this.#header);
    });
  }

  /** Keeps a layer: the residual rows before it, its keys and values. Layers come in order. */
  async layer(
    layer: number,
    hidden: Float32Array,
    { k, v }: { readonly k: Float32Array; readonly v: Float32Array },
  ): Promise<void> {
    await this.#keep(BLOCKS_PER_LAYER * layer, [hidden, k, v]);
  }

  /** Keeps the residual rows after the last layer. */
  async last(hidden: Float32Array): Promise<void> {
    await this.#keep(this.#blocks - 1, [hidden]);
  }

  /** Completes the file; whether it is whole. */
  async finish(): Promise<boolean> {
    await this.#writing;
    const whole = this.problem === undefined && this.#sums.length === this.#blocks;
    if (whole) {
      await this.#attempt(async () => {
        const sums = Uint32Array.from(this.#sums);
        const all = Buffer.concat([this.#header, bytesOf(sums)]);
        await this.#write(bytesOf(sums));
        await this.#write(bytesOf(Uint32Array.of(checksum(all))));
      });
    }
    await this.#close();
    return whole && this.problem === undefined;
  }

  /** Gives up: nothing of it remains. */
  async abandon(): Promise<void> {
    await this.#writing;
    await this.#close();
    await rm(this.path, { force: true }).catch(() => {});
  }

  async #keep(index: number, blocks: readonly Float32Array[]): Promise<void> {
    await this.#writing;
    if (this.problem !== undefined) return;
    if (index !== this.#sums.length) throw new Error("blocks of a clean run come in order");
    let at = 0;
    for (const block of blocks) {
      const bytes = bytesOf(block);
      this.#copy.set(bytes, at);
      this.#sums.push(checksum(bytes));
      at += bytes.length;
    }
    this.#writing = this.#attempt(() => this.#write(this.#copy.subarray(0, at)));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const written = await this.#file?.write(bytes, done, bytes.length - done);
      done += written?.bytesWritten ?? bytes.length;
    }
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.problem = error;
    }
  }

  async #close(): Promise<void> {
    await this.#file?.close().catch(() => {});
    this.#file = undefined;
  }
}
