import type { DecoderSpec } from "../families/shared/spec.ts";

/** Share of the memory budget that the widened output head may take. */
const HEAD_SHARE = 1 / 4;

/** The output head in fp32, in bytes. */
export function widenedHeadBytes(decoder: DecoderSpec): number {
  return 4 * decoder.vocabSize * decoder.hiddenSize;
}

/**
 * Whether the output head stays in memory widened and packed. It is read for a row or two after every
 * layer, where widening it anew would take a good part of the layer's own time.
 */
export function keepsHead(decoder: DecoderSpec, budgetBytes: number): boolean {
  return widenedHeadBytes(decoder) <= HEAD_SHARE * budgetBytes;
}
