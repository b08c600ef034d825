import type { ConfigReader } from "../../../common/config-reader.ts";
import type { RopeSpec } from "./spec.ts";

/** What the decoder's class means when its configuration does not say. */
export interface RopeDefaults {
  readonly theta?: number | undefined;
  /** Rows stand by time, row and column (M-RoPE). */
  readonly placed?: boolean;
}

/**
 * Inverse frequencies of rotary position embeddings, read from either form of the configuration:
 * `rope_theta` with `rope_scaling`, or the newer `rope_parameters`.
 *
 * "longrope" (Phi-3's older files call it "su") divides each frequency by a factor of one of two
 * lists, by whether the prompt is longer than the model was first trained for (LongRoPE,
 * arXiv 2402.13753).
 *
 * @throws ModelError for a scaling that is not supported, naming it.
 */
export function readRope(
  text: ConfigReader,
  headDim: number,
  { theta: usual = 10_000, placed = false }: RopeDefaults = {},
): RopeSpec {
  const scaling = text.has("rope_parameters")
    ? text.section("rope_parameters")
    : text.section("rope_scaling");
  const theta = scaling.has("rope_theta")
    ? scaling.number("rope_theta")
    : text.number("rope_theta", usual);
  const inverseFrequencies = Float64Array.from(
    { length: headDim / 2 },
    (_, i) => 1 / theta ** ((2 * i) / headDim),
  );
  const kind = scaling.has("rope_type")
    ? scaling.text("rope_type")
    : scaling.text("type", "default");
  const refused = (supported: string) =>
    scaling.refuse(scaling.has("rope_type") ? "rope_type" : "type", `${supported} are supported`);
  if (placed) {
    if (kind !== "default" && kind !== "mrope") throw refused("default and mrope");
    return { inverseFrequencies, axes: readAxes(scaling, headDim), attentionScaling: 1 };
  }
  switch (kind) {
    case "default":
      break;
    case "linear": {
      const factor = scaling.number("factor");
      for (let i = 0; i < inverseFrequencies.length; i++)
        inverseFrequencies[i] = (inverseFrequencies[i] ?? 0) / factor;
      break;
    }
    case "llama3":
      scaleLlama3(inverseFrequencies, scaling);
      break;
    case "longrope":
    case "su":
      return longRope(inverseFrequencies, text, scaling);
    default:
      throw refused("default, linear, llama3 and longrope");
  }
  return { inverseFrequencies, attentionScaling: 1 };
}

/** M-RoPE in blocks: so many frequencies by time, row and column in turn, then from the start. */
function readAxes(scaling: ConfigReader, headDim: number): number[] {
  const given = scaling.raw("mrope_section") ?? [16, 24, 24];
  const counts = Array.isArray(given) ? given : [];
  const axes = counts.flatMap((count: unknown, block) =>
    Array.from({ length: Number.isSafeInteger(count) ? Number(count) : 0 }, () => block % 3),
  );
  if (axes.length !== headDim / 2 || new Set(axes).size !== 3) {
    throw scaling.refuse(
      "mrope_section",
      `numbers of frequencies by time, row and column, ${headDim / 2} in all, are needed`,
    );
  }
  return axes;
}

function longRope(plain: Float64Array, text: ConfigReader, scaling: ConfigReader): RopeSpec {
  const divided = (key: string) => {
    const factors = scaling.numbers(key, plain.length);
    return plain.map((frequency, i) => frequency / (factors[i] ?? 1));
  };
  const context = scaling.has("original_max_position_embeddings")
    ? scaling.size("original_max_position_embeddings")
    : text.size("original_max_position_embeddings", 4096);
  const factor = scaling.has("factor")
    ? scaling.number("factor")
    : text.size("max_position_embeddings", 4096) / context;
  const recommended = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(context));
  return {
    inverseFrequencies: divided("short_factor"),
    attentionScaling: scaling.number("attention_factor", recommended),
    long: { beyond: context, inverseFrequencies: divided("long_factor") },
  };
}

/** Llama 3.1's rule: long wavelengths are divided by the factor, short ones kept, a ramp between. */
function scaleLlama3(frequencies: Float64Array, scaling: ConfigReader): void {
  const factor = scaling.number("factor");
  const low = scaling.number("low_freq_factor");
  const high = scaling.number("high_freq_factor");
  const context = scaling.number("original_max_position_embeddings");
  frequencies.forEach((frequency, i) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < context / high) return;
    if (wavelength > context / low) {
      frequencies[i] = frequency / factor;
      return;
    }
    const smooth = (context / wavelength - low) / (high - low);
    frequencies[i] = ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/**
 * The rotation of a vision tower's heads by row and column: the first half of the frequencies turns by
 * the row, the second, alike, by the column.
 */
export function axialRope(headDim: number, theta: number): RopeSpec {
  const half = headDim / 2;
  const quarter = half / 2;
  const places = Array.from({ length: half }, (_, i) => i);
  return {
    inverseFrequencies: Float64Array.from(places, (i) => 1 / theta ** ((2 * (i % quarter)) / half)),
    axes: places.map((i) => (i < quarter ? 0 : 1)),
    attentionScaling: 1,
  };
}

/** Where rows stand, for each axis that positions have: [axes][rows]. */
export type Positions = readonly ArrayLike<number>[];

/** The frequencies for these positions: of two sets, the last position says which. */
function frequenciesFor({ inverseFrequencies, long }: RopeSpec, positions: Positions) {
  if (long === undefined) return inverseFrequencies;
  return nextPosition(0, positions) > long.beyond ? long.inverseFrequencies : inverseFrequencies;
}

/**
 * cos and sin of the given positions, each [rows, headDim], the halves repeated (rotate_half). Each
 * frequency turns by the position on its own axis.
 */
export function ropeTables(
  rope: RopeSpec,
  positions: Positions,
): { cos: Float32Array; sin: Float32Array } {
  const rows = positions[0]?.length ?? 0;
  const inverseFrequencies = frequenciesFor(rope, positions);
  const half = inverseFrequencies.length;
  const cos = new Float32Array(rows * half * 2);
  const sin = new Float32Array(cos.length);
  for (let i = 0; i < half; i++) {
    const axis = positions[rope.axes?.[i] ?? 0];
    const frequency = Math.fround(inverseFrequencies[i] ?? 0);
    if (axis?.length !== rows) throw new Error("positions lack an axis of the rotation");
    for (let p = 0; p < rows; p++) {
      // The angle is rounded to fp32 first, as the reference implementations compute it.
      const angle = Math.fround((axis[p] ?? 0) * frequency);
      const at = p * half * 2 + i;
      cos[at] = cos[at + half] = Math.cos(angle) * rope.attentionScaling;
      sin[at] = sin[at + half] = Math.sin(angle) * rope.attentionScaling;
    }
  }
  return { cos, sin };
}

/**
 * The tables of a prompt's rows.
 *
 * @param positions absent: 0 … length - 1, which only a rotation of one axis can do with.
 */
export function promptTables(rope: RopeSpec, length: number, positions: Positions | undefined) {
  if (positions === undefined && rope.axes !== undefined) {
    throw new Error("this decoder's rows need a position on every axis");
  }
  return ropeTables(rope, positions ?? [Array.from({ length }, (_, position) => position)]);
}

/** The position, on every axis, of the first token after a prompt: one more than the largest. */
export function nextPosition(length: number, positions: Positions | undefined): number {
  if (positions === undefined) return length;
  return (
    positions.reduce((most, axis) => {
      for (let i = 0; i < axis.length; i++) most = Math.max(most, axis[i] ?? 0);
      return most;
    }, -1) + 1
  );
}
