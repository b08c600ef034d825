import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { RopeSpec } from "./spec.ts";

/** What the decoder's class means when its configuration does not say. */
export interface RopeDefaults {
  readonly theta?: number | undefined;
  /** Rows stand by time, row and column (M-RoPE). */
  readonly placed?: boolean;
  /** Positions that the model was trained for … */
  readonly context: number;
  /** … and before its context was extended, where the class goes before the scaling's own word. */
  readonly trained?: number | undefined;
}

/** The largest base of frequencies, and the largest factor between two lengths of text. */
export const MOST_THETA = 1e15;
const MOST_FACTOR = 1e6;

/**
 * Inverse frequencies of rotary position embeddings, read from either form of the configuration:
 * `rope_theta` with `rope_scaling`, or the newer `rope_parameters`; where a file has both, transformers
 * reads `rope_scaling`.
 *
 * Beside YaRN (below), two scalings follow the prompt's length: "longrope" divides each frequency by a
 * factor of one of two lists, by whether the prompt is longer than the model was first trained for
 * (LongRoPE, arXiv 2402.13753); "dynamic" raises the base for prompts beyond the trained length.
 *
 * @throws ModelError for a scaling that is not supported, naming it.
 */
export function readRope(text: ConfigReader, headDim: number, defaults: RopeDefaults): RopeSpec {
  const { theta: usual = 10_000, placed = false } = defaults;
  const older = text.section("rope_scaling");
  const scaling = older.isEmpty ? text.section("rope_parameters") : older;
  const theta = scaling.has("rope_theta")
    ? scaling.within("rope_theta", 1, MOST_THETA)
    : text.within("rope_theta", 1, MOST_THETA, usual);
  for (const nested of ["full_attention", "sliding_attention"]) {
    if (scaling.has(nested)) {
      throw scaling.refuse(nested, "one rotation for all layers is supported");
    }
  }
  for (const section of [scaling, text]) {
    if (section.within("partial_rotary_factor", 0, 1, 1) !== 1) {
      throw section.refuse(
        "partial_rotary_factor",
        "rotary positions over whole heads are supported",
      );
    }
  }
  const wavelengths = wavelengthsOf(theta, headDim);
  const scaled = scaledRope(wavelengths, { text, scaling, defaults, theta });
  return placed ? { ...scaled, axes: readAxes(scaling, headDim) } : scaled;
}

/**
 * theta^(2i / dim), in steps of 32-bit floats as the library computes it: one unit in the last place
 * turns position 5,000 by up to 3e-4.
 */
function wavelengthsOf(theta: number, headDim: number): Float64Array {
  const f = Math.fround;
  return Float64Array.from({ length: headDim / 2 }, (_, i) => f(theta ** f((2 * i) / headDim)));
}

function frequenciesOf(wavelengths: Float64Array): Float64Array {
  return wavelengths.map((length) => Math.fround(1 / length));
}

/** What a scaling is read from. */
interface Scaling {
  readonly text: ConfigReader;
  readonly scaling: ConfigReader;
  readonly defaults: RopeDefaults;
  readonly theta: number;
}

const KINDS = ["default", "linear", "dynamic", "yarn", "llama3", "longrope"] as const;

function readKind({ scaling, defaults }: Scaling): (typeof KINDS)[number] {
  const key = scaling.has("rope_type") ? "rope_type" : "type";
  const named = scaling.text(key, "default");
  // M-RoPE's axes are no scaling; Phi-3's older files have other names for its own.
  if (defaults.placed === true && named === "mrope") return "default";
  if (defaults.trained !== undefined && ["su", "yarn"].includes(named)) return "longrope";
  const kind = KINDS.find((known) => known === named);
  if (kind === undefined) throw scaling.refuse(key, `supported are ${KINDS.join(", ")}`);
  return kind;
}

function scaledRope(wavelengths: Float64Array, from: Scaling): RopeSpec {
  const plain = frequenciesOf(wavelengths);
  const { text, scaling, defaults, theta } = from;
  switch (readKind(from)) {
    case "default":
      return { inverseFrequencies: plain, attentionScaling: 1 };
    case "linear": {
      const factor = readFactor(scaling);
      return { inverseFrequencies: plain.map((each) => each / factor), attentionScaling: 1 };
    }
    case "dynamic": {
      const beyond = text.size("max_position_embeddings", defaults.context, LIMITS.positions);
      const dynamic = { beyond, factor: readFactor(scaling), theta };
      return { inverseFrequencies: plain, attentionScaling: 1, dynamic };
    }
    case "yarn":
      return yarn(wavelengths, from);
    case "llama3": {
      const context = trainedContext(text, scaling, defaults);
      return {
        inverseFrequencies: scaleLlama3(plain, scaling, context),
        attentionScaling: 1,
      };
    }
    case "longrope":
      return longRope(wavelengths, text, scaling, defaults);
  }
}

/**
 * YaRN (arXiv 2309.00071): frequencies that turn often within the trained context are kept, those that
 * turn less than once are divided by the factor, with a ramp between; scores are scaled besides.
 */
function yarn(wavelengths: Float64Array, { text, scaling, defaults, theta }: Scaling): RopeSpec {
  const context = trainedContext(text, scaling, defaults);
  const present = text.size("max_position_embeddings", defaults.context, LIMITS.positions);
  // Only a stated null leaves the factor to the two lengths.
  const usual = scaling.isNull("factor") ? present / context : undefined;
  const factor = readFactor(scaling, "factor", usual);
  const dim = wavelengths.length * 2;
  const turning = (turns: number) =>
    (dim * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  // A stated 0 stands for the usual number, as in the library.
  const turns = (key: string, usual: number) => scaling.within(key, 0, MOST_FACTOR, usual) || usual;
  const whole = scaling.flag("truncate", true);
  const from = turning(turns("beta_fast", 32));
  const to = turning(turns("beta_slow", 1));
  const low = Math.max(whole ? Math.floor(from) : from, 0);
  const high = Math.min(whole ? Math.ceil(to) : to, dim - 1);
  const width = low === high ? 0.001 : high - low;
  const f = Math.fround;
  const inverseFrequencies = wavelengths.map((length, i) => {
    const kept = f(1 - Math.min(1, Math.max(0, f(f(i - low) / width))));
    return f(f(f(1 / f(factor * length)) * f(1 - kept)) + f(f(1 / length) * kept));
  });
  return { inverseFrequencies, attentionScaling: yarnAttention(scaling, factor) };
}

/** YaRN's factor on cos and sin: as stated, or by the lengths' factor. */
function yarnAttention(scaling: ConfigReader, factor: number): number {
  if (scaling.has("attention_factor")) return readFactor(scaling, "attention_factor");
  const scale = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const [weight, all] = ["mscale", "mscale_all_dim"].map((key) =>
    scaling.within(key, 0, MOST_FACTOR, 0),
  ) as [number, number];
  return weight > 0 && all > 0 ? scale(weight) / scale(all) : scale(1);
}

/** M-RoPE in blocks: so many frequencies by time, row and column in turn, then from the start. */
function readAxes(scaling: ConfigReader, headDim: number): number[] {
  const given = scaling.raw("mrope_section") ?? [16, 24, 24];
  const counts: number[] = Array.isArray(given)
    ? given.map((count: unknown) => (typeof count === "number" ? count : Number.NaN))
    : [];
  const fits =
    counts.every((count) => Number.isSafeInteger(count) && count >= 0) &&
    counts.reduce((sum, count) => sum + count, 0) === headDim / 2;
  const axes = fits ? counts.flatMap((count, block) => Array<number>(count).fill(block % 3)) : [];
  if (new Set(axes).size !== 3) {
    throw scaling.refuse(
      "mrope_section",
      `numbers of frequencies by time, row and column, ${headDim / 2} in all, are needed`,
    );
  }
  return axes;
}

/** A factor between two lengths of text. */
function readFactor(scaling: ConfigReader, key = "factor", fallback?: number): number {
  const factor = scaling.within(key, 0, MOST_FACTOR, fallback);
  if (factor === 0) throw scaling.refuse(key, "a number above 0 is needed");
  return factor;
}

/**
 * Positions that the model was trained for before its context was extended: the decoder's own key
 * goes before the one among the scaling's (Phi-3), and the present context stands in for both.
 */
function trainedContext(
  text: ConfigReader,
  scaling: ConfigReader,
  { context, trained }: RopeDefaults,
): number {
  const key = "original_max_position_embeddings";
  const place = text.has(key) || trained !== undefined ? text : scaling;
  const present = text.size("max_position_embeddings", context, LIMITS.positions);
  return place.size(key, trained ?? present, LIMITS.positions);
}

function longRope(
  wavelengths: Float64Array,
  text: ConfigReader,
  scaling: ConfigReader,
  defaults: RopeDefaults,
): RopeSpec {
  const divided = (key: string) => {
    const factors = scaling.numbers(key, wavelengths.length);
    if (factors.some((factor) => factor === 0)) throw scaling.refuse(key, "no factor can be 0");
    const f = Math.fround;
    return frequenciesOf(wavelengths.map((length, i) => f(f(factors[i] ?? 1) * length)));
  };
  const context = trainedContext(text, scaling, defaults);
  const present = text.size("max_position_embeddings", defaults.context, LIMITS.positions);
  const factor = readFactor(scaling, "factor", present / context);
  const recommended = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(context));
  return {
    inverseFrequencies: divided("short_factor"),
    attentionScaling: readFactor(scaling, "attention_factor", recommended),
    long: { beyond: context, inverseFrequencies: divided("long_factor") },
  };
}

/** Llama 3.1's rule: long wavelengths are divided by the factor, short ones kept, a ramp between. */
function scaleLlama3(plain: Float64Array, scaling: ConfigReader, context: number): Float64Array {
  const factor = readFactor(scaling);
  const low = readFactor(scaling, "low_freq_factor");
  const high = readFactor(scaling, "high_freq_factor");
  if (high <= low) throw scaling.refuse("high_freq_factor", `more than low_freq_factor is needed`);
  const f = Math.fround;
  return plain.map((frequency) => {
    const wavelength = f(f(2 * Math.PI) / frequency);
    if (wavelength < context / high) return frequency;
    if (wavelength > context / low) return f(frequency / factor);
    const smooth = f(f(f(context / wavelength) - low) / (high - low));
    return f(f(f(f(1 - smooth) * frequency) / factor) + f(smooth * frequency));
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
  const frequencies = frequenciesOf(wavelengthsOf(theta, half));
  return {
    inverseFrequencies: Float64Array.from(places, (i) => frequencies[i % quarter] ?? 0),
    axes: places.map((i) => (i < quarter ? 0 : 1)),
    attentionScaling: 1,
  };
}

/** Where rows stand, for each axis that positions have: [axes][rows]. */
export type Positions = readonly ArrayLike<number>[];

/** The frequencies for these positions, where a scaling follows how far they reach. */
function frequenciesFor({ inverseFrequencies, long, dynamic }: RopeSpec, positions: Positions) {
  if (long === undefined && dynamic === undefined) return inverseFrequencies;
  const reach = nextPosition(0, positions);
  if (long !== undefined && reach > long.beyond) return long.inverseFrequencies;
  if (dynamic === undefined || reach <= dynamic.beyond) return inverseFrequencies;
  // In steps of 32-bit floats, as the library computes it.
  const { beyond, factor, theta } = dynamic;
  const dim = inverseFrequencies.length * 2;
  const stretch = Math.fround(Math.fround(Math.fround(factor * reach) / beyond) - (factor - 1));
  const base = Math.fround(theta * Math.fround(stretch ** (dim / (dim - 2))));
  return inverseFrequencies.map((_, i) => 1 / Math.fround(base ** Math.fround((2 * i) / dim)));
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
