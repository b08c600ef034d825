import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { LocatedTensor } from "../../checkpoint/weights.ts";
import { readActivation } from "./activation.ts";
import {
  DECODER_DEFAULTS,
  DECODER_KINDS,
  type DecoderKind,
  readBiases,
  readWindows,
} from "./decoder-kinds.ts";
import { namesOf, readDecoderLayer } from "./decoder-layer.ts";
import { readRope } from "./rope.ts";
import type { DecoderSpec } from "./spec.ts";
import type { TensorLookup } from "./tensors.ts";

/** Positions that Phi-3 was first trained for, where its configuration's own key does not say. */
const PHI3_TRAINED = 4096;

/** Their rows stand by time, row and column: only a family that says where can use them. */
const PLACED_KINDS: readonly DecoderKind[] = ["qwen2_vl_text", "qwen2_5_vl_text"];

/** How a family names its decoder. */
export interface DecoderPlace {
  /** Before `layers.0`, `norm` and `embed_tokens`; the newest library version's first. */
  readonly prefixes: readonly string[];
  readonly heads: readonly string[];
  /** The decoder's own settings; default the section `text_config`. */
  readonly settings?: ConfigReader | undefined;
  /** The `model_type` of its settings when they do not say. */
  readonly kind: DecoderKind;
  /** Whether the family's class ties head and embeddings when nothing is said. */
  readonly tied?: boolean | undefined;
}

/**
 * Reads the decoder and finds its tensors. Biases are used where its class has them (Qwen2's queries,
 * keys and values; Llama's where the configuration says so).
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readDecoder(
  config: ConfigReader,
  lookup: TensorLookup,
  place: DecoderPlace,
): DecoderSpec {
  const text = place.settings ?? config.section("text_config");
  const placed = PLACED_KINDS.includes(place.kind);
  // Where decoder and model share one level of settings, `model_type` there is the model's.
  const named = text === config ? place.kind : text.text("model_type", place.kind);
  const kind = DECODER_KINDS.find((known) => known === named);
  if (kind === undefined || (placed ? kind !== place.kind : PLACED_KINDS.includes(kind))) {
    const free = DECODER_KINDS.filter((each) => !PLACED_KINDS.includes(each));
    const known = placed ? [place.kind] : free;
    throw text.refuse("model_type", `decoders of these kinds are supported: ${known.join(", ")}`);
  }
  const defaults = DECODER_DEFAULTS[kind];
  const hiddenSize = text.size("hidden_size", defaults.hidden, LIMITS.width);
  const intermediateSize = text.size("intermediate_size", defaults.inner, LIMITS.inner);
  const heads = text.size("num_attention_heads", defaults.heads ?? 32, LIMITS.heads);
  // Null, other than an absent key, means as many as heads.
  const usualKvHeads = text.isNull("num_key_value_heads") ? heads : defaults.kvHeads || heads;
  const kvHeads = text.size("num_key_value_heads", usualKvHeads, LIMITS.heads);
  const usualDim = defaults.headDim ?? Math.floor(hiddenSize / heads);
  const headDim = text.size("head_dim", usualDim, LIMITS.headDim);
  if (heads % kvHeads !== 0) {
    throw text.refuse("num_key_value_heads", `${heads} attention heads must be a multiple of it`);
  }
  if (headDim % 2 !== 0) throw text.refuse("head_dim", "rotary positions need an even number");
  const names = namesOf(kind);
  const prefix = lookup.prefix(place.prefixes, names.embedding);
  const vocabSize = text.size("vocab_size", defaults.vocab, LIMITS.vocabulary);
  const embedding = lookup.tensor(prefix + names.embedding, [vocabSize, hiddenSize]);
  const sizes = {
    ...{ kind, width: hiddenSize, inner: intermediateSize, heads, kvHeads, headDim },
    biased: readBiases(text, kind),
  };
  const layerCount = text.size("num_hidden_layers", defaults.layers ?? 32, LIMITS.layers);
  const windows = readWindows(text, kind, layerCount);
  const layers = Array.from({ length: layerCount }, (_, i) =>
    readDecoderLayer(lookup, `${prefix}layers.${i}.`, sizes, windows[i]),
  );
  const stored = readHead(config, text, lookup, place, [vocabSize, hiddenSize]);
  return {
    hiddenSize,
    intermediateSize,
    heads,
    kvHeads,
    headDim,
    vocabSize,
    normEps: text.within("rms_norm_eps", 0, 1, defaults.eps),
    activation: readActivation(text, "hidden_act", "silu"),
    rope: readRope(text, headDim, {
      theta: defaults.theta,
      placed,
      context: defaults.positions,
      trained: kind === "phi3" ? PHI3_TRAINED : undefined,
    }),
    layers,
    finalNorm: lookup.tensor(`${prefix}norm.weight`, [hiddenSize]),
    embedding,
    head: stored.head ?? embedding,
    headSaidTied: stored.saidTied && stored.head !== undefined,
    maxPositions: text.size("max_position_embeddings", defaults.positions, LIMITS.positions),
  };
}

/**
 * The output head, where the file holds one: it is used whatever the configuration says, as
 * transformers does when the two matrices differ (when they are alike it does not matter). Without
 * one, the embeddings serve where the configuration, its root's word or `text_config`'s, ties them.
 */
function readHead(
  config: ConfigReader,
  text: ConfigReader,
  lookup: TensorLookup,
  place: DecoderPlace,
  shape: readonly [vocab: number, hidden: number],
): { readonly head: LocatedTensor | undefined; readonly saidTied: boolean } {
  const said = [config, text]
    .filter((section) => section.has("tie_word_embeddings"))
    .map((section) => section.flag("tie_word_embeddings", false));
  const mayBeTied = said.includes(true) || (said.length === 0 && place.tied === true);
  const name = place.heads.find((each) => lookup.has(`${each}.weight`));
  if (name === undefined && mayBeTied) return { head: undefined, saidTied: true };
  const head = lookup.tensor(`${name ?? place.heads[0]}.weight`, shape);
  return { head, saidTied: said.length > 0 && said.every((tied) => tied) };
}

/** `eos_token_id` of the decoder or the model: one id, or several; `fallback` when neither says. */
export function readEndTokens(
  config: ConfigReader,
  fallback: number,
  text: ConfigReader = config.section("text_config"),
): number[] {
  const ids = text.raw("eos_token_id") ?? config.raw("eos_token_id") ?? fallback;
  return [ids].flat().filter((id): id is number => Number.isSafeInteger(id));
}
