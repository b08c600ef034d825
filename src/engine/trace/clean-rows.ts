import type { CleanRecord } from "../clean-cache/record.ts";
import type { DecoderSpec } from "../families/shared/spec.ts";
import { floats, type Session } from "../runtime/session.ts";
import type { Projected } from "./attend.ts";
import { gatherRows } from "./rows.ts";
import { Scratch } from "./scratch.ts";

/** The rows of a clean run that was kept, as a pass over its branches needs them. */
export class CleanRows {
  readonly #record: CleanRecord;
  readonly #decoder: DecoderSpec;
  readonly #scratch = new Scratch();
  /** Layers whose residual rows are in memory, by parity. */
  readonly #held: [number | undefined, number | undefined] = [undefined, undefined];

  constructor(record: CleanRecord, decoder: DecoderSpec) {
    this.#record = record;
    this.#decoder = decoder;
  }

  /** Residual rows [S, d] before a layer (of layer L: after the last); valid until two layers on. */
  hidden(layer: number): Float32Array {
    const { length, width } = this.#record.layout;
    const parity = layer % 2 === 0 ? 0 : 1;
    const rows = this.#scratch.take(`hidden ${parity}`, length * width);
    if (this.#held[parity] !== layer) {
      this.#held[parity] = undefined;
      this.#record.hidden(layer, rows);
      this.#held[parity] = layer;
    }
    return rows;
  }

  /**
   * Keys and values of a layer, and the queries of some rows, computed anew.
   *
   * @param queries their positions; other rows of `q` hold nothing.
   * @param rope of all rows.
   */
  async projected(
    layer: number,
    queries: Int32Array,
    rope: { readonly cos: Float32Array; readonly sin: Float32Array },
    projection: Session,
  ): Promise<Projected> {
    const { length, width, kvWidth } = this.#record.layout;
    const { heads, headDim } = this.#decoder;
    const qWidth = heads * headDim;
    const clean = {
      q: this.#scratch.take("q", length * qWidth),
      k: this.#scratch.take("k", length * kvWidth),
      v: this.#scratch.take("v", length * kvWidth),
    };
    this.#record.keys(layer, clean);
    const count = queries.length;
    if (count === 0) return clean;
    const rows = (from: Float32Array, columns: number) => {
      const to = new Float32Array(count * columns);
      gatherRows(from, queries, columns, to, 0);
      return to;
    };
    const found = this.#scratch.take("found q", count * qWidth);
    const unused = this.#scratch.take("unused", count * kvWidth);
    const again = this.#scratch.take("unused too", count * kvWidth);
    await projection.run(
      {
        x: floats(rows(this.hidden(layer), width), [count, width]),
        cos: floats(rows(rope.cos, headDim), [count, 1, headDim]),
        sin: floats(rows(rope.sin, headDim), [count, 1, headDim]),
      },
      {
        q: floats(found, [count, qWidth]),
        k: floats(unused, [count, kvWidth]),
        v: floats(again, [count, kvWidth]),
      },
    );
    queries.forEach((position, i) => {
      clean.q.set(found.subarray(i * qWidth, (i + 1) * qWidth), position * qWidth);
    });
    return clean;
  }
}
