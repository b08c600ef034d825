import type { ConfigReader } from "../checkpoint/config.ts";
import type { RopeSpec } from "./spec.ts";

/**
 * Inverse frequencies of rotary position embeddings, read from either form of the configuration:
 * `rope_theta` with `rope_scaling`, or the newer `rope_parameters`.
 *
 * @throws ModelError for a scaling that is not supported, naming it.
 */
export function readRope(text: ConfigReader, headDim: number): RopeSpec {
  const scaling = text.has("rope_parameters")
    ? text.section("rope_parameters")
    : text.section("rope_scaling");
  const theta = scaling.has("rope_theta")
    ? scaling.number("rope_theta")
    : text.number("rope_theta", 10_000);
  const inverseFrequencies = Float64Array.from(
    { length: headDim / 2 },
    (_, i) => 1 / theta ** ((2 * i) / headDim),
  );
  const kind = scaling.has("rope_type")
    ? scaling.text("rope_type")
    : scaling.text("type", "default");
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
    default:
      throw scaling.refuse(
        scaling.has("rope_type") ? "rope_type" : "type",
        "default, linear and llama3 are supported",
      );
  }
  return { inverseFrequencies, attentionScaling: 1 };
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

/** cos and sin of the given positions, each [positions, headDim], the halves repeated (rotate_half). */
export function ropeTables(
  rope: RopeSpec,
  positions: ArrayLike<number>,
): { cos: Float32Array; sin: Float32Array } {
  const half = rope.inverseFrequencies.length;
  const cos = new Float32Array(positions.length * half * 2);
  const sin = new Float32Array(cos.length);
  for (let p = 0; p < positions.length; p++) {
    for (let i = 0; i < half; i++) {
      // The angle is rounded to fp32 first, as the reference implementations compute it.
      const angle = Math.fround((positions[p] ?? 0) * Math.fround(rope.inverseFrequencies[i] ?? 0));
      const at = p * half * 2 + i;
      cos[at] = cos[at + half] = Math.cos(angle) * rope.attentionScaling;
      sin[at] = sin[at + half] = Math.sin(angle) * rope.attentionScaling;
    }
  }
  return { cos, sin };
}
