import type { LensIndex } from "./lens-index.ts";

/**
 * How often the words of a list are the top-1 token over all video tokens, by layer: counts per word
 * normalised over the layers, then averaged over the words that occur at all (the paper's vocabulary
 * frequency). Null for layers that were not read.
 */
export function wordFrequency(
  index: LensIndex,
  kind: string,
  layers: number,
  words: readonly string[],
): (number | null)[] {
  const counts = new Map<string, Float64Array>(words.map((w) => [w, new Float64Array(layers)]));
  const read: boolean[] = [];
  for (let layer = 0; layer < layers; layer += 1) {
    const lens = index.at(layer, kind);
    read[layer] = lens !== undefined;
    if (lens === undefined) continue;
    for (let row = 0; row < lens.ids.length; row += lens.k) {
      const id = lens.ids[row] ?? -1;
      const count = id < 0 ? undefined : counts.get(index.word(id).toLowerCase());
      if (count !== undefined) count[layer] = (count[layer] ?? 0) + 1;
    }
  }
  const occurring = [...counts.values()]
    .map((count) => ({ count, sum: count.reduce((a, b) => a + b, 0) }))
    .filter(({ sum }) => sum > 0);
  return read.map((known, layer) => {
    if (!known) return null;
    if (occurring.length === 0) return 0;
    const mean = occurring.reduce((total, { count, sum }) => total + (count[layer] ?? 0) / sum, 0);
    return mean / occurring.length;
  });
}
