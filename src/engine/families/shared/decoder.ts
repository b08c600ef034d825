import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { LocatedTensor } from "../../checkpoint/weights.ts";
import { readActivation } from "./activation.ts";
import { readRope } from "./rope.ts";
import type { DecoderLayerWeights, DecoderSpec, LinearWeights } from "./spec.ts";
import type { TensorLookup } from "./tensors.ts";

/** Decoders of one design: RMSNorm, rotary positions, grouped queries, gated MLP. */
const KINDS = ["llama", "mistral", "qwen2", "qwen3", "phi3", "qwen2_5_vl_text"] as const;
export type DecoderKind = (typeof KINDS)[number];

/** The classes' own values for keys that a configuration leaves out. */
interface Defaults {
  readonly hidden: number;
  readonly inner: number;
  readonly vocab: number;
  readonly eps: number;
  /** 0: as many as heads. */
  readonly kvHeads: number;
  readonly headDim?: number | undefined;
  readonly heads?: number;
  readonly layers?: number;
  readonly theta?: number;
  /** Positions that the model was trained for. */
  readonly positions: number;
}

const DEFAULTS: Readonly<Record<DecoderKind, Defaults>> = {
  llama: { hidden: 4096, inner: 11_008, vocab: 32_000, eps: 1e-6, kvHeads: 0, positions: 2_048 },
  qwen2: {
    hidden: 4096,
    inner: 22_016,
    vocab: 151_936,
    eps: 1e-6,
    kvHeads: 32,
    positions: 32_768,
  },
  qwen3: {
    hidden: 4096,
    inner: 22_016,
    vocab: 151_936,
    eps: 1e-6,
    kvHeads: 32,
    positions: 32_768,
    headDim: 128,
  },
  mistral: {
    hidden: 4096,
    inner: 14_336,
    vocab: 32_000,
    eps: 1e-6,
    kvHeads: 8,
    positions: 131_072,
  },
  phi3: { hidden: 3072, inner: 8192, vocab: 32_064, eps: 1e-5, kvHeads: 0, positions: 4_096 },
  qwen2_5_vl_text: {
    hidden: 8192,
    inner: 29_568,
    vocab: 152_064,
    eps: 1e-5,
    kvHeads: 8,
    heads: 64,
    layers: 80,
    theta: 1_000_000,
    positions: 32_768,
  },
};

/** Positions that Phi-3 was first trained for, where its configuration's own key does not say. */
const PHI3_TRAINED = 4096;

/** Its rows stand by time, row and column: only a family that says where can use it. */
const PLACED_KIND = "qwen2_5_vl_text";

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
  const placed = place.kind === PLACED_KIND;
  // Where decoder and model share one level of settings, `model_type` there is the model's.
  const named = text === config ? place.kind : text.text("model_type", place.kind);
  const kind = KINDS.find((known) => known === named);
  if (kind === undefined || (kind === PLACED_KIND) !== placed) {
    const known = placed ? [PLACED_KIND] : KINDS.filter((each) => each !== PLACED_KIND);
    throw text.refuse("model_type", `decoders of these kinds are supported: ${known.join(", ")}`);
  }
  const defaults = DEFAULTS[kind];
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
  const prefix = lookup.prefix(place.prefixes, "embed_tokens.weight");
  const vocabSize = text.size("vocab_size", defaults.vocab, LIMITS.vocabulary);
  const embedding = lookup.tensor(`${prefix}embed_tokens.weight`, [vocabSize, hiddenSize]);
  const sizes = {
    fused: kind === "phi3",
    width: hiddenSize,
    inner: intermediateSize,
    query: heads * headDim,
    keyValue: kvHeads * headDim,
    normed: kind === "qwen3" ? headDim : undefined,
    biased: readBiases(text, kind),
  };
  const layerCount = text.size("num_hidden_layers", defaults.layers ?? 32, LIMITS.layers);
  const windows = readWindows(text, kind, layerCount);
  const layers = Array.from({ length: layerCount }, (_, i) =>
    decoderLayer(lookup, `${prefix}layers.${i}.`, { ...sizes, window: windows[i] }),
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

/** Which linear layers of a decoder have a bias. */
interface Biases {
  readonly query: boolean;
  readonly out: boolean;
  readonly mlp: boolean;
}

/** As each class has them: fixed, or by its configuration. */
function readBiases(text: ConfigReader, kind: DecoderKind): Biases {
  switch (kind) {
    case "llama": {
      const attention = text.flag("attention_bias", false);
      return { query: attention, out: attention, mlp: text.flag("mlp_bias", false) };
    }
    case "qwen3": {
      const attention = text.flag("attention_bias", false);
      return { query: attention, out: attention, mlp: false };
    }
    case "qwen2":
    case "qwen2_5_vl_text":
      return { query: true, out: false, mlp: false };
    case "mistral":
    case "phi3":
      return { query: false, out: false, mlp: false };
  }
}

/** Names of a layer's attention in `layer_types`. */
const FULL = "full_attention";
const SLIDING = "sliding_attention";

/** How far back each layer's rows look, as each class says it; undefined: over all positions. */
function readWindows(
  text: ConfigReader,
  kind: DecoderKind,
  layers: number,
): readonly (number | undefined)[] {
  const everywhere = (window: number | undefined) => Array<number | undefined>(layers).fill(window);
  const stated = (usual?: number) =>
    text.isNull("sliding_window") || (usual === undefined && !text.has("sliding_window"))
      ? undefined
      : text.size("sliding_window", usual, LIMITS.positions);
  switch (kind) {
    case "llama":
      return everywhere(undefined);
    case "mistral":
      return everywhere(stated(4096));
    case "phi3":
      return everywhere(stated());
    case "qwen2":
    case "qwen3":
    case "qwen2_5_vl_text": {
      const used = text.flag("use_sliding_window", false);
      const window = used ? stated(4096) : undefined;
      const types = readLayerTypes(text, layers);
      if (types === undefined) {
        const first = text.within("max_window_layers", 0, LIMITS.layers, WINDOWS_FROM[kind]);
        return everywhere(window).map((each, i) => (i >= first ? each : undefined));
      }
      if (window === undefined && types.includes(SLIDING)) {
        throw text.refuse(
          "layer_types",
          `"${SLIDING}" needs use_sliding_window and sliding_window`,
        );
      }
      return types.map((type) => (type === SLIDING ? window : undefined));
    }
  }
}

/** `max_window_layers` where it is not stated: the first layer with a window. */
const WINDOWS_FROM = { qwen2: 28, qwen3: 28, qwen2_5_vl_text: 80 } as const;

function readLayerTypes(text: ConfigReader, layers: number): readonly string[] | undefined {
  if (!text.has("layer_types")) return undefined;
  const types = text.raw("layer_types");
  const known = (type: unknown) => type === FULL || type === SLIDING;
  if (!Array.isArray(types) || types.length !== layers || !types.every(known)) {
    throw text.refuse(
      "layer_types",
      `"${FULL}" or "${SLIDING}" is needed for each of ${layers} layers`,
    );
  }
  return types;
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

function decoderLayer(
  lookup: TensorLookup,
  prefix: string,
  sizes: {
    /** One matrix for queries, keys and values, and one for gate and up (Phi-3). */
    readonly fused: boolean;
    readonly width: number;
    readonly inner: number;
    readonly query: number;
    readonly keyValue: number;
    /** Extent of the norms of queries and keys; undefined: there are none. */
    readonly normed: number | undefined;
    readonly biased: Biases;
    readonly window: number | undefined;
  },
): DecoderLayerWeights {
  const { fused, width, inner, query, keyValue, normed, biased } = sizes;
  const norm = (name: string) =>
    normed === undefined ? undefined : lookup.tensor(`${prefix}self_attn.${name}.weight`, [normed]);
  const parts = (
    name: string,
    names: readonly string[],
    counts: readonly number[],
    bias: boolean,
  ) =>
    fused
      ? fusedRows(lookup, `${prefix}${name}`, counts, width, bias)
      : names.map((each, i) => lookup.linear(`${prefix}${each}`, counts[i] ?? 0, width, bias));
  const [q, k, v] = parts(
    "self_attn.qkv_proj",
    ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    [query, keyValue, keyValue],
    biased.query,
  ) as [LinearWeights, LinearWeights, LinearWeights];
  const [gate, up] = parts(
    "mlp.gate_up_proj",
    ["mlp.gate_proj", "mlp.up_proj"],
    [inner, inner],
    biased.mlp,
  ) as [LinearWeights, LinearWeights];
  return {
    window: sizes.window,
    inputNorm: lookup.tensor(`${prefix}input_layernorm.weight`, [width]),
    query: q,
    key: k,
    value: v,
    queryNorm: norm("q_norm"),
    keyNorm: norm("k_norm"),
    out: lookup.linear(`${prefix}self_attn.o_proj`, width, query, biased.out),
    postNorm: lookup.tensor(`${prefix}post_attention_layernorm.weight`, [width]),
    gate,
    up,
    down: lookup.linear(`${prefix}mlp.down_proj`, width, inner, biased.mlp),
  };
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
    const rows = { start, count };
    start += count;
    return { ...whole, rows };
  });
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
