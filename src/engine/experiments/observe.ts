import type {
  AnswerReading,
  EventSink,
  LensReading,
  MassReading,
  RunEventOf,
  RunOption,
  Tensor,
} from "../../runs/events.ts";
import { toHalf } from "../../runs/half.ts";
import type { Unembedding } from "../graph/decoder.ts";
import type { OpenModel } from "../runtime/model.ts";
import type { MassRequest } from "../trace/attend.ts";
import type { LayerState } from "../trace/pass.ts";
import { type Unembedded, unembed } from "../trace/unembed.ts";

/** Likeliest tokens reported for a position. */
export const TOP_K = 10;

/** Turns a token id into the text shown for it. */
export type TokenText = (id: number) => string;

/** How the logit lens reads residual rows. */
export interface LensOptions {
  readonly norm: boolean;
  readonly unembedding: Unembedding;
}

/** What each layer of the clean run is asked. */
export interface CleanObserver {
  readonly model: OpenModel;
  readonly tokenText: TokenText;
  readonly options: readonly RunOption[];
  readonly last: number;
  /** Video positions whose lens is read at every layer; absent: none. */
  readonly lens?: { readonly start: number; readonly end: number } & LensOptions;
  readonly mass?: { readonly request: MassRequest; readonly groups: readonly string[] };
  readonly attentionRows?: Int32Array;
  readonly headAveraged: boolean;
}

/**
 * Reads a layer of the clean run: answer by layer, both normed and raw; group mass; lens; attention
 * rows. Emits `vocabulary` for lens tokens not named before, then `layer.clean`.
 *
 * @param named ids whose texts the run holds already; added to.
 */
export async function observeClean(
  observer: CleanObserver,
  state: LayerState,
  named: Set<number>,
  sink: EventSink,
): Promise<{ normed: AnswerReading }> {
  const { model, options, tokenText } = observer;
  const width = model.spec.decoder.hiddenSize;
  const row = state.hidden.subarray(observer.last * width, (observer.last + 1) * width);
  const isLast = state.layer === model.layers.length - 1;
  const rows = new Float32Array(2 * width);
  rows.set(row);
  rows.set(row, width);
  const chosen = Int32Array.from(options, ({ tokenId }) => tokenId);
  // The last layer's hidden state has the final norm applied, in the raw variant too.
  const read = await unembed(model, rows, [true, isLast], { k: TOP_K, chosen });
  const event: RunEventOf<"layer.clean"> = {
    type: "layer.clean",
    layer: state.layer,
    normed: answerReading(read, 0, options, tokenText),
    raw: answerReading(read, 1, options, tokenText),
  };
  if (observer.mass !== undefined && state.mass !== undefined) {
    event.mass = massReading(state.mass, observer.mass.groups);
  }
  if (observer.lens !== undefined) {
    event.lens = await readLens(model, state, observer.lens, isLast);
    nameTokens(event.lens.ids.data, named, tokenText, sink);
  }
  if (observer.attentionRows !== undefined && state.weights !== undefined) {
    event.attention = {
      queries: [...observer.attentionRows],
      headAveraged: observer.headAveraged,
      weights: attentionTensor(
        state.weights,
        model.spec.decoder.heads,
        observer.attentionRows.length,
        observer.headAveraged,
      ),
    };
  }
  sink(event);
  return { normed: event.normed };
}

/** One row of an unembedding, as a reading of the answer. */
export function answerReading(
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

async function readLens(
  model: OpenModel,
  state: LayerState,
  lens: NonNullable<CleanObserver["lens"]>,
  isLast: boolean,
): Promise<LensReading> {
  const width = model.spec.decoder.hiddenSize;
  const count = lens.end - lens.start;
  const rows = state.hidden.subarray(lens.start * width, lens.end * width);
  const norm = lens.norm || isLast;
  const read = await unembed(model, rows, new Array<boolean>(count).fill(norm), {
    k: TOP_K,
    chosen: new Int32Array(),
    unembedding: lens.unembedding,
  });
  const { k } = read;
  return {
    positions: [[lens.start, lens.end]],
    norm: lens.norm,
    unembedding: lens.unembedding,
    ids: { dtype: "i32", shape: [count, k], data: read.topIds },
    probabilities: { dtype: "f32", shape: [count, k], data: read.top },
  };
}

function nameTokens(
  ids: ArrayLike<number>,
  named: Set<number>,
  tokenText: TokenText,
  sink: EventSink,
): void {
  const tokens: { id: number; text: string }[] = [];
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    if (named.has(id)) continue;
    named.add(id);
    tokens.push({ id, text: tokenText(id) });
  }
  if (tokens.length > 0) sink({ type: "vocabulary", tokens });
}

/** [heads, Q, K] group mass with the names of its groups. */
function massReading(mass: Float32Array, groups: readonly string[]): MassReading {
  const heads = mass.length / groups.length ** 2;
  return {
    queryGroups: [...groups],
    keyGroups: [...groups],
    mass: { dtype: "f32", shape: [heads, groups.length, groups.length], data: mass },
  };
}

/** Attention weights [heads, rows, S], or their mean over heads [1, rows, S], as half floats. */
export function attentionTensor(
  weights: Float32Array,
  heads: number,
  rows: number,
  headAveraged: boolean,
): Tensor {
  const size = weights.length / heads;
  if (!headAveraged) {
    return { dtype: "f16", shape: [heads, rows, size / rows], data: toHalf(weights) };
  }
  const mean = new Float32Array(size);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < size; i++) mean[i] = (mean[i] ?? 0) + (weights[h * size + i] ?? 0) / heads;
  }
  return { dtype: "f16", shape: [1, rows, size / rows], data: toHalf(mean) };
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
