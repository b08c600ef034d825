import { PRESET_NAMES, parseLayerRange, presetFits, presetRanges } from "../protocol/presets.ts";
import type { KeptRanges, LayerRange } from "../protocol/requests.ts";
import { type Flags, type ParsedArguments, UsageError } from "./arguments.ts";
import type { Terminal } from "./command.ts";

/** Flags that choose an effective pathway. */
export const PATHWAY_FLAGS: Flags = {
  preset: { kind: "text", oneOf: PRESET_NAMES, help: "ranges of one of the paper's models" },
  keep: { kind: "text", value: "RANGES", help: "ranges of your own" },
};

export const KEPT_NAMES = {
  "cross-frame": "crossFrame",
  "video-question": "videoToQuestion",
  "question-last": "questionToLast",
} as const satisfies Record<string, keyof KeptRanges>;

/**
 * The pathway that the flags choose, once the model's depth is known: a preset is scaled to it, and a
 * note says so. Without a flag it is the paper's LLaVA-NeXT-7B.
 *
 * @throws UsageError when the flags cannot be read.
 */
export function keptRanges(
  args: ParsedArguments,
): (layers: number, terminal: Terminal) => KeptRanges {
  const keep = args.text("keep");
  if (args.has("preset") && keep !== undefined) {
    throw new UsageError("--preset and --keep exclude each other");
  }
  if (keep !== undefined) {
    const kept = parseKept(keep);
    return () => kept;
  }
  const name = PRESET_NAMES.find((known) => known === args.text("preset")) ?? "llava-next-7b";
  return (layers, terminal) => {
    if (!presetFits(name, layers)) {
      terminal.note(`the ranges of ${name} are scaled to this model's ${layers} layers`);
    }
    return presetRanges(name, layers);
  };
}

/** `cross-frame=6-15,…` as ranges; a family that is not named keeps nothing. */
function parseKept(text: string): KeptRanges {
  const kept: Partial<Record<keyof KeptRanges, LayerRange>> = {};
  for (const part of text.split(",")) {
    const [name, range, ...rest] = part.split("=");
    const key = Object.entries(KEPT_NAMES).find(([known]) => known === name)?.[1];
    if (key === undefined || range === undefined || rest.length > 0) {
      const names = Object.keys(KEPT_NAMES).join(", ");
      throw new UsageError(`--keep has "${part}"; write NAME=A-B with the names ${names}`);
    }
    kept[key] = parseLayerRange(range);
  }
  return kept;
}
