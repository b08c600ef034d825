import type { CleanRecord } from "../clean-cache/record.ts";
import type { CleanWriter } from "../clean-cache/writer.ts";
import type { Positions } from "../families/shared/rope.ts";
import type { AttentionLimits, MassRequest, Projected } from "./attend.ts";

/** What is known after a layer; arrays are valid only until the observer returns. */
export interface LayerState {
  readonly layer: number;
  /** Residual stream of the clean run after the layer: [S, d]. */
  readonly hidden: Float32Array;
  /** Group mass [heads, Q, K], when asked for. */
  readonly mass: Float32Array | undefined;
  /** Attention weights [heads, rows, S] of the clean run's chosen rows, when asked for. */
  readonly weights: Float32Array | undefined;
  /** The residual row of a branch at a position: its own where dirty, else the clean run's. */
  branchRow(branch: number, position: number): Float32Array;
  /** Attention weights [heads, rows, S] of a watched branch's chosen rows. */
  branchWeights(branch: number): Float32Array | undefined;
}

/** What the pass is asked to keep beside the residual stream. */
export interface PassRequest {
  /** Where the rows stand for the decoder's rotation; absent: 0 … S-1. */
  readonly positions?: Positions | undefined;
  readonly mass?: MassRequest | undefined;
  /** Query positions whose attention weights are wanted at every layer. */
  readonly weightRows?: Int32Array | undefined;
  /** Branches (by index) whose attention weights are wanted too, with their query positions. */
  readonly watched?: ReadonlyMap<number, Int32Array> | undefined;
  /** Rows that go through a layer's matrices together; bounds memory. */
  readonly maxRows: number;
  readonly limits?: AttentionLimits | undefined;
  /** Told after each part of a layer: the share of its rows that are done, up to 1. */
  readonly progress?: ((layer: number, share: number) => void) | undefined;
  /** The clean run as an earlier pass kept it: read instead of computed. Not with `mass`. */
  readonly kept?: CleanRecord | undefined;
  /** Takes the clean run as it is computed. Not with `kept`. */
  readonly keep?: CleanWriter | undefined;
  /**
   * Given the keys and values [rows, kv_heads · dim] of each layer: of the clean run's S rows, and of
   * a branch's dirty rows before the layer. The arrays are valid only during the call.
   */
  readonly keepKeys?: ((layer: number, branch: number | "clean", keys: Keys) => void) | undefined;
}

/** Keys and values of some rows at one layer. */
export type Keys = Pick<Projected, "k" | "v">;

/** Called as each layer completes, in order; awaited before the next one starts. */
export type LayerObserver = (state: LayerState) => Promise<void>;
