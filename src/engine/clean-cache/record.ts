import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import {
  BLOCKS_PER_LAYER,
  blockOffsets,
  bytesOf,
  type CleanLayout,
  checksum,
  fileBytes,
  HEADER_BYTES,
  headerOf,
} from "./layout.ts";

/** A kept clean run is not what was written. */
export class DamagedRecord extends Error {
  override readonly name = "DamagedRecord";
}

/**
 * A clean run that was kept: the residual stream before and after every layer, and each layer's keys
 * and values, as they were computed. Each block is checked when it is first read.
 */
export class CleanRecord {
  readonly layout: CleanLayout;
  readonly #file: number;
  readonly #offsets: readonly number[];
  readonly #sums: Uint32Array;
  readonly #checked: Uint8Array;

  private constructor(layout: CleanLayout, file: number, sums: Uint32Array) {
    this.layout = layout;
    this.#file = file;
    this.#offsets = blockOffsets(layout);
    this.#sums = sums;
    this.#checked = new Uint8Array(sums.length);
  }

  /**
   * Opens a file.
   *
   * @param key what the run is called; the file must say so.
   * @throws DamagedRecord when it is another run's, or shorter or longer than it must be; the
   *   system's error when it cannot be opened.
   */
  static open(path: string, key: string, layout: CleanLayout): CleanRecord {
    const file = openSync(path, "r");
    try {
      const bytes = fileBytes(layout);
      if (fstatSync(file).size !== bytes) throw new DamagedRecord();
      const header = Buffer.alloc(HEADER_BYTES);
      const offsets = blockOffsets(layout);
      const sums = new Uint32Array(offsets.length);
      read(file, header, 0);
      read(file, bytesOf(sums), offsets.at(-1) ?? 0);
      const own = checksum(Buffer.concat([header, bytesOf(sums.subarray(0, -1))]));
      if (!header.equals(headerOf(key, layout)) || sums.at(-1) !== own) throw new DamagedRecord();
      return new CleanRecord(layout, file, sums);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /**
   * Residual rows [S, d] before a layer; of layer L: after the last.
   *
   * @throws DamagedRecord when they are not what was written.
   */
  hidden(layer: number, into: Float32Array): void {
    this.#block(BLOCKS_PER_LAYER * layer, into);
  }

  /**
   * Keys (rotated) and values of a layer, [S, kv_heads · head_dim] each.
   *
   * @throws DamagedRecord when they are not what was written.
   */
  keys(layer: number, into: { readonly k: Float32Array; readonly v: Float32Array }): void {
    this.#block(BLOCKS_PER_LAYER * layer + 1, into.k);
    this.#block(BLOCKS_PER_LAYER * layer + 2, into.v);
  }

  close(): void {
    closeSync(this.#file);
  }

  #block(index: number, into: Float32Array): void {
    const [start = 0, end = 0] = this.#offsets.slice(index, index + 2);
    if (into.byteLength !== end - start) throw new Error("a block has a size of its own");
    const bytes = bytesOf(into);
    try {
      read(this.#file, bytes, start);
    } catch {
      throw new DamagedRecord();
    }
    if (this.#checked[index] === 1) return;
    if (checksum(bytes) !== this.#sums[index]) throw new DamagedRecord();
    this.#checked[index] = 1;
  }
}

/** Fills the array from a place in the file. */
function read(file: number, into: Uint8Array, from: number): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(file, into, done, into.length - done, from + done);
    if (count === 0) throw new DamagedRecord();
    done += count;
  }
}
