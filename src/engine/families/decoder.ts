import type { ConfigReader } from "../checkpoint/config.ts";
import { readActivation } from "./activation.ts";
import { readRope } from "./rope.ts";
import type { DecoderLayerWeights, DecoderSpec } from "./spec.ts";
import type { TensorLookup } from "./tensors.ts";

/** Decoders of one design: RMSNorm, rotary positions, grouped queries, gated MLP. */
const KINDS = ["llama", "qwen2", "qwen3"] as const;
type DecoderKind = (typeof KINDS)[number];

/** The classes' own values for keys that a configuration leaves out. */
const DEFAULTS = {
  llama: { inner: 11_008, vocab: 32_000, headDim: undefined },
  qwen2: { inner: 22_016, vocab: 151_936, headDim: undefined },
  qwen3: { inner: 22_016, vocab: 151_936, headDim: 128 },
} as const;

/** How a family names its decoder. */
export interface DecoderPlace {
  /** Before `layers.0`, `norm` and `embed_tokens`; the newest library version's first. */
  readonly prefixes: readonly string[];
  readonly heads: readonly string[];
  /** `text_config.model_type` when the configuration does not say. */
  readonly kind: DecoderKind;
  /** Whether the family's class ties head and embeddings when nothing is said. */
  readonly tied?: boolean | undefined;
}

/**
 * Reads the decoder of `text_config` and finds its tensors. Biases are used where the checkpoint has
 * them (Qwen2's queries, keys and values).
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readDecoder(
  config: ConfigReader,
  lookup: TensorLookup,
  place: DecoderPlace,
): DecoderSpec {
  const text = config.section("text_config");
  const named = text.text("model_type", place.kind);
  const kind = KINDS.find((known) => known === named);
  if (kind === undefined) {
    throw text.refuse("model_type", `decoders of these kinds are supported: ${KINDS.join(", ")}`);
  }
  const defaults = DEFAULTS[kind];
  const hiddenSize = text.size("hidden_size", 4096);
  const intermediateSize = text.size("intermediate_size", defaults.inner);
  const heads = text.size("num_attention_heads", 32);
  const kvHeads = text.size("num_key_value_heads", kind === "llama" ? heads : 32);
  const headDim = text.size("head_dim", defaults.headDim ?? Math.floor(hiddenSize / heads));
  if (heads % kvHeads !== 0) {
    throw text.refuse("num_key_value_heads", `${heads} attention heads must be a multiple of it`);
  }
  if (headDim % 2 !== 0) throw text.refuse("head_dim", "rotary positions need an even number");
  if (text.flag("use_sliding_window", false)) {
    throw text.refuse("use_sliding_window", "attention over the whole prompt is supported");
  }
  const prefix = lookup.prefix(place.prefixes, "embed_tokens.weight");
  const vocabSize = text.size("vocab_size", defaults.vocab);
  const embedding = lookup.tensor(`${prefix}embed_tokens.weight`, [vocabSize, hiddenSize]);
  return {
    hiddenSize,
    intermediateSize,
    heads,
    kvHeads,
    headDim,
    vocabSize,
    normEps: text.number("rms_norm_eps", 1e-6),
    activation: readActivation(text, "hidden_act", "silu"),
    rope: readRope(text, headDim),
    layers: Array.from({ length: text.size("num_hidden_layers", 32) }, (_, i) =>
      decoderLayer(lookup, `${prefix}layers.${i}.`, {
        width: hiddenSize,
        inner: intermediateSize,
        query: heads * headDim,
        keyValue: kvHeads * headDim,
        normed: kind === "qwen3" ? headDim : undefined,
      }),
    ),
    finalNorm: lookup.tensor(`${prefix}norm.weight`, [hiddenSize]),
    embedding,
    head: readHead(config, text, lookup, place) ?? embedding,
  };
}

/**
 * The output head; undefined when the embeddings serve as it. A configuration may say that they are
 * tied at its root, in `text_config`, or at both; where the two disagree, the file decides: a head
 * that is stored is used.
 */
function readHead(
  config: ConfigReader,
  text: ConfigReader,
  lookup: TensorLookup,
  place: DecoderPlace,
) {
  const said = [config, text]
    .filter((section) => section.has("tie_word_embeddings"))
    .map((section) => section.flag("tie_word_embeddings", false));
  const name = place.heads.find((each) => lookup.has(`${each}.weight`));
  if (said.length > 0 && said.every((tied) => tied)) return undefined;
  const mayBeTied = said.includes(true) || (said.length === 0 && place.tied === true);
  if (name === undefined && mayBeTied) return undefined;
  return lookup.tensor(`${name ?? place.heads[0]}.weight`, [
    text.size("vocab_size", DEFAULTS[place.kind].vocab),
    text.size("hidden_size", 4096),
  ]);
}

function decoderLayer(
  lookup: TensorLookup,
  prefix: string,
  sizes: {
    readonly width: number;
    readonly inner: number;
    readonly query: number;
    readonly keyValue: number;
    /** Extent of the norms of queries and keys; undefined: there are none. */
    readonly normed: number | undefined;
  },
): DecoderLayerWeights {
  const { width, inner, query, keyValue, normed } = sizes;
  const norm = (name: string) =>
    normed === undefined ? undefined : lookup.tensor(`${prefix}self_attn.${name}.weight`, [normed]);
  return {
    inputNorm: lookup.tensor(`${prefix}input_layernorm.weight`, [width]),
    query: lookup.linear(`${prefix}self_attn.q_proj`, query, width),
    key: lookup.linear(`${prefix}self_attn.k_proj`, keyValue, width),
    value: lookup.linear(`${prefix}self_attn.v_proj`, keyValue, width),
    queryNorm: norm("q_norm"),
    keyNorm: norm("k_norm"),
    out: lookup.linear(`${prefix}self_attn.o_proj`, width, query),
    postNorm: lookup.tensor(`${prefix}post_attention_layernorm.weight`, [width]),
    gate: lookup.linear(`${prefix}mlp.gate_proj`, inner, width),
    up: lookup.linear(`${prefix}mlp.up_proj`, inner, width),
    down: lookup.linear(`${prefix}mlp.down_proj`, width, inner),
  };
}

/** `eos_token_id` of the decoder or the model: one id, or several; `fallback` when neither says. */
export function readEndTokens(config: ConfigReader, fallback: number): number[] {
  const text = config.section("text_config");
  const ids = text.raw("eos_token_id") ?? config.raw("eos_token_id") ?? fallback;
  return [ids].flat().filter((id): id is number => Number.isSafeInteger(id));
}
