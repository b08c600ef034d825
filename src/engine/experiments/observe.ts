import { roundToFloat24 } from "../../common/float24.ts";
import { spansOf } from "../../prompts/groups.ts";
import type {
  AnswerReading,
  EventSink,
  LensReading,
  MassReading,
  RunEventOf,
  RunOption,
  Tensor,
} from "../../protocol/events.ts";
import type { LensOptions } from "../../protocol/experiments/schemas.ts";
import type { OpenModel } from "../runtime/model.ts";
import type { MassRequest } from "../trace/attend.ts";
import { Scratch } from "../trace/scratch.ts";
import { type Unembedded, unembed } from "../trace/unembed.ts";

/** Likeliest tokens reported for a position. */
export const TOP_K = 10;

/** Turns a token id into the text shown for it. */
export type TokenText = (id: number) => string;

/** The video positions whose lens is read, and how. */
export interface LensRequest extends LensOptions {
  /** Ascending. */
  readonly positions: Int32Array;
}

/** What each layer of a run is asked. */
export interface LayerReadRequest {
  /** Video positions whose lens is read at every layer; absent: none. */
  readonly lens?: LensRequest | undefined;
  readonly attentionRows?: Int32Array | undefined;
  readonly headAveraged: boolean;
}

/** What each layer of the clean run is asked. */
export interface CleanReadRequest extends LayerReadRequest {
  readonly mass?: { readonly request: MassRequest; readonly groups: readonly string[] } | undefined;
}

/** The prompt a reading is about, and how its tokens are shown. */
export interface ReadPrompt {
  readonly options: readonly RunOption[];
  /** S; the answer is read at S-1. */
  readonly length: number;
  readonly tokenText: TokenText;
}

/** One run (the clean one, or a branch) after a layer. */
export interface ObservedLayer {
  readonly layer: number;
  /** The residual row [d] of a position. */
  row(position: number): Float32Array;
  /** Attention weights [heads, rows, S] of the rows asked for. */
  readonly weights: Float32Array | undefined;
}

/** What a layer says, whichever run it is of. */
type LayerReading = Pick<RunEventOf<"layer.clean">, "normed" | "raw" | "lens" | "attention">;

/** Reads the layers of runs, naming each lens token once by a `vocabulary` event. */
export class LayerReader {
  readonly #model: OpenModel;
  readonly #prompt: ReadPrompt;
  readonly #sink: EventSink;
  readonly #named = new Set<number>();
  readonly #scratch = new Scratch();

  constructor(model: OpenModel, prompt: ReadPrompt, sink: EventSink) {
    this.#model = model;
    this.#prompt = prompt;
    this.#sink = sink;
  }

  /** Answer by layer, normed and raw; lens and attention rows as asked for. */
  async read(observer: LayerReadRequest, state: ObservedLayer): Promise<LayerReading> {
    const { options, tokenText, length } = this.#prompt;
    const width = this.#model.spec.decoder.hiddenSize;
    const isLast = state.layer === this.#model.layers.length - 1;
    const rows = new Float32Array(2 * width);
    rows.set(state.row(length - 1));
    rows.set(state.row(length - 1), width);
    const chosen = Int32Array.from(options, ({ tokenId }) => tokenId);
    // The last layer's hidden state has the final norm applied, in the raw variant too.
    const read = await unembed(this.#model, rows, [true, isLast], { k: TOP_K, chosen });
    const reading: LayerReading = {
      normed: answerReading(read, 0, options, tokenText),
      raw: answerReading(read, 1, options, tokenText),
    };
    if (observer.lens !== undefined) {
      reading.lens = await this.#lens(observer.lens, state, isLast);
    }
    if (observer.attentionRows !== undefined && state.weights !== undefined) {
      const { heads } = this.#model.spec.decoder;
      const { attentionRows, headAveraged } = observer;
      reading.attention = {
        queries: [...attentionRows],
        headAveraged,
        weights: attentionTensor(state.weights, heads, attentionRows.length, headAveraged),
      };
    }
    return reading;
  }

  async #lens(lens: LensRequest, state: ObservedLayer, isLast: boolean): Promise<LensReading> {
    const width = this.#model.spec.decoder.hiddenSize;
    const count = lens.positions.length;
    const rows = this.#scratch.take("rows", count * width);
    lens.positions.forEach((position, i) => {
      rows.set(state.row(position), i * width);
    });
    const norm = lens.norm || isLast;
    const read = await unembed(this.#model, rows, new Array<boolean>(count).fill(norm), {
      k: TOP_K,
      chosen: new Int32Array(),
      unembedding: lens.unembedding,
    });
    this.#name(read.topIds);
    return {
      positions: spansOf(lens.positions),
      norm: lens.norm,
      unembedding: lens.unembedding,
      ids: { dtype: "i32", shape: [count, read.k], data: read.topIds },
      probabilities: { dtype: "f32", shape: [count, read.k], data: read.top },
    };
  }

  #name(ids: Int32Array): void {
    const fresh = [...new Set(ids)].filter((id) => !this.#named.has(id));
    for (const id of fresh) this.#named.add(id);
    const tokens = fresh.map((id) => ({ id, text: this.#prompt.tokenText(id) }));
    if (tokens.length > 0) this.#sink({ type: "vocabulary", tokens });
  }
}

/** One row of an unembedding, as a reading of the answer. */
function answerReading(
  read: Unembedded,
  row: number,
  options: readonly RunOption[],
  tokenText: TokenText,
): AnswerReading {
  const { k } = read;
  return {
    options: Object.fromEntries(
      options.map(({ label }, i) => [label, read.chosen[row * options.length + i] ?? 0]),
    ),
    top: Array.from({ length: k }, (_, i) => {
      const id = read.topIds[row * k + i] ?? 0;
      return { id, token: tokenText(id), probability: read.top[row * k + i] ?? 0 };
    }),
  };
}

/** [heads, Q, K] group mass with the names of its groups. */
export function massReading(mass: Float32Array, groups: readonly string[]): MassReading {
  const heads = mass.length / groups.length ** 2;
  return {
    queryGroups: [...groups],
    keyGroups: [...groups],
    mass: { dtype: "f32", shape: [heads, groups.length, groups.length], data: mass },
  };
}

/** Attention weights [heads, rows, S], or their mean over heads [1, rows, S], to 8e-6 of each. */
function attentionTensor(
  weights: Float32Array,
  heads: number,
  rows: number,
  headAveraged: boolean,
): Tensor {
  const size = weights.length / heads;
  if (!headAveraged) {
    const data = roundToFloat24(weights);
    return { dtype: "f24", shape: [heads, rows, size / rows], data };
  }
  const mean = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    let sum = 0;
    for (let h = 0; h < heads; h++) sum += weights[h * size + i] ?? 0;
    mean[i] = sum / heads;
  }
  return { dtype: "f24", shape: [1, rows, size / rows], data: roundToFloat24(mean) };
}

/** Membership matrices of token groups, as the attention graph takes them. */
export function massRequest(
  groups: ReadonlyMap<string, Int32Array>,
  length: number,
): { request: MassRequest; groups: string[] } {
  const named = [...groups].filter(([, positions]) => positions.length > 0);
  const count = named.length;
  const keyGroups = new Float32Array(length * count);
  const queryGroups = new Float32Array(count * length);
  named.forEach(([, positions], g) => {
    for (const position of positions) {
      keyGroups[position * count + g] = 1;
      queryGroups[g * length + position] = 1 / positions.length;
    }
  });
  return {
    request: { keyGroups, keyGroupCount: count, queryGroups, queryGroupCount: count },
    groups: named.map(([name]) => name),
  };
}
