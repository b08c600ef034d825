import type { Biases, DecoderKind } from "./decoder-kinds.ts";
import type { DecoderLayerWeights, LinearWeights } from "./spec.ts";
import type { TensorLookup } from "./tensors.ts";

/** What a decoder calls its tensors: those at its root, and those of a layer. */
export interface DecoderNames {
  readonly embedding: string;
  readonly inputNorm: string;
  readonly out: string;
  readonly postNorm: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

const USUAL: DecoderNames = {
  embedding: "embed_tokens.weight",
  inputNorm: "input_layernorm.weight",
  out: "self_attn.o_proj",
  postNorm: "post_attention_layernorm.weight",
  gate: "mlp.gate_proj",
  up: "mlp.up_proj",
  down: "mlp.down_proj",
};

const INTERNLM2: DecoderNames = {
  embedding: "tok_embeddings.weight",
  inputNorm: "attention_norm.weight",
  out: "attention.wo",
  postNorm: "ffn_norm.weight",
  gate: "feed_forward.w1",
  up: "feed_forward.w3",
  down: "feed_forward.w2",
};

/** The names of a decoder's tensors. */
export function namesOf(kind: DecoderKind): DecoderNames {
  return kind === "internlm2" ? INTERNLM2 : USUAL;
}

/** What the layers of a decoder have in common. */
export interface LayerSizes {
  readonly kind: DecoderKind;
  readonly width: number;
  readonly inner: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly biased: Biases;
}

/**
 * One layer of a decoder.
 *
 * @param prefix before the names of its tensors.
 * @param window see `DecoderLayerWeights`.
 */
export function readDecoderLayer(
  lookup: TensorLookup,
  prefix: string,
  sizes: LayerSizes,
  window: number | undefined,
): DecoderLayerWeights {
  const { kind, width, inner, heads, headDim, biased } = sizes;
  const names = namesOf(kind);
  const norm = (name: string) =>
    kind === "qwen3" ? lookup.tensor(`${prefix}self_attn.${name}.weight`, [headDim]) : undefined;
  const [query, key, value] = readHeads(lookup, prefix, sizes);
  const [gate, up] =
    kind === "phi3"
      ? fusedRows(lookup, `${prefix}mlp.gate_up_proj`, [inner, inner], width, biased.mlp)
      : [names.gate, names.up].map((name) =>
          lookup.linear(prefix + name, inner, width, biased.mlp),
        );
  return {
    window,
    inputNorm: lookup.tensor(prefix + names.inputNorm, [width]),
    query: query as LinearWeights,
    key: key as LinearWeights,
    value: value as LinearWeights,
    queryNorm: norm("q_norm"),
    keyNorm: norm("k_norm"),
    out: lookup.linear(prefix + names.out, width, heads * headDim, biased.out),
    postNorm: lookup.tensor(prefix + names.postNorm, [width]),
    gate: gate as LinearWeights,
    up: up as LinearWeights,
    down: lookup.linear(prefix + names.down, width, inner, biased.mlp),
  };
}

/** Queries, keys and values: matrices of their own, or one of them all (Phi-3, InternLM2). */
function readHeads(lookup: TensorLookup, prefix: string, sizes: LayerSizes): LinearWeights[] {
  const { kind, width, heads, kvHeads, headDim, biased } = sizes;
  const counts = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
  switch (kind) {
    case "phi3":
      return fusedRows(lookup, `${prefix}self_attn.qkv_proj`, counts, width, biased.query);
    case "internlm2": {
      // Of each key head in turn: the queries that read it, its key, its value.
      const group = heads / kvHeads;
      const rows = (group + 2) * headDim;
      const whole = lookup.linear(`${prefix}attention.wqkv`, kvHeads * rows, width, biased.query);
      const cut = (first: number, count: number) => ({
        ...whole,
        rows: Array.from({ length: kvHeads }, (_, head) => ({
          start: head * rows + first * headDim,
          count: count * headDim,
        })),
      });
      return [cut(0, group), cut(group, 1), cut(group + 1, 1)];
    }
    default:
      return ["q_proj", "k_proj", "v_proj"].map((name, i) =>
        lookup.linear(`${prefix}self_attn.${name}`, counts[i] ?? 0, width, biased.query),
      );
  }
}

/** Several linear layers stored as one matrix, their rows one after another; see `linear` for `biased`. */
export function fusedRows(
  lookup: TensorLookup,
  name: string,
  counts: readonly number[],
  input: number,
  biased?: boolean,
): LinearWeights[] {
  const whole = lookup.linear(
    name,
    counts.reduce((sum, count) => sum + count, 0),
    input,
    biased,
  );
  let start = 0;
  return counts.map((count) => {
    const rows = [{ start, count }];
    start += count;
    return { ...whole, rows };
  });
}
