import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";

/** Decoders of one design: RMSNorm, rotary positions, grouped queries, gated MLP. */
export const DECODER_KINDS = [
  "llama",
  "mistral",
  "qwen2",
  "qwen3",
  "phi3",
  "internlm2",
  "qwen2_vl_text",
  "qwen2_5_vl_text",
] as const;
export type DecoderKind = (typeof DECODER_KINDS)[number];

/** The classes' own values for keys that a configuration leaves out. */
export interface DecoderDefaults {
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

/** Of Qwen2-VL's and Qwen2.5-VL's decoders. */
const QWEN_VL: DecoderDefaults = {
  hidden: 8192,
  inner: 29_568,
  vocab: 152_064,
  eps: 1e-5,
  kvHeads: 8,
  heads: 64,
  layers: 80,
  theta: 1_000_000,
  positions: 32_768,
};

export const DECODER_DEFAULTS: Readonly<Record<DecoderKind, DecoderDefaults>> = {
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
  internlm2: {
    hidden: 4096,
    inner: 11_008,
    vocab: 103_168,
    eps: 1e-6,
    kvHeads: 0,
    positions: 2_048,
  },
  qwen2_vl_text: QWEN_VL,
  qwen2_5_vl_text: QWEN_VL,
};

/** Which linear layers of a decoder have a bias. */
export interface Biases {
  readonly query: boolean;
  readonly out: boolean;
  readonly mlp: boolean;
}

/** As each class has them: fixed, or by its configuration. */
export function readBiases(text: ConfigReader, kind: DecoderKind): Biases {
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
    case "qwen2_vl_text":
    case "qwen2_5_vl_text":
      return { query: true, out: false, mlp: false };
    case "internlm2": {
      const attention = text.flag("bias", true);
      return { query: attention, out: attention, mlp: false };
    }
    case "mistral":
    case "phi3":
      return { query: false, out: false, mlp: false };
  }
}

/** Names of a layer's attention in `layer_types`. */
const FULL = "full_attention";
const SLIDING = "sliding_attention";

/** How far back each layer's rows look, as each class says it; undefined: over all positions. */
export function readWindows(
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
    case "internlm2":
      return everywhere(undefined);
    case "mistral":
      return everywhere(stated(4096));
    case "phi3":
      return everywhere(stated());
    case "qwen2":
    case "qwen3":
    case "qwen2_vl_text":
    case "qwen2_5_vl_text": {
      const used = text.flag("use_sliding_window", false);
      const window = used ? stated(4096) : undefined;
      const types = readLayerTypes(text, layers);
      if (types === undefined) {
        const first = text.within("max_window_layers", 0, LIMITS.layers, WINDOWS_FROM[kind]);
        if (!Number.isInteger(first))
          throw text.refuse("max_window_layers", "a whole number is needed");
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
const WINDOWS_FROM = { qwen2: 28, qwen3: 28, qwen2_vl_text: 80, qwen2_5_vl_text: 80 } as const;

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
