import type { LensReading } from "../../protocol/events.ts";
import type { RunState } from "../state.ts";
import { wordOf } from "../words.ts";

/**
 * Likeliest words of the video's tokens: at each layer, how many video tokens read which word first.
 * Words are whole tokens in lower case.
 */
export interface LensFacts {
  readonly norm: boolean;
  readonly unembedding: LensReading["unembedding"];
  /** Video tokens read at every layer: the largest number over the layers. */
  readonly tokens: number;
  readonly words: readonly string[];
  /** [layers]: pairs of a word's index and its number of video tokens; null where not read. */
  readonly counts: readonly (readonly (readonly [word: number, tokens: number])[] | null)[];
}

const kindOf = ({ norm, unembedding }: LensReading) => `${norm}/${unembedding}`;
/** The usual logit lens; a run that was read otherwise only is shown by what it has. */
const USUAL = "true/head";

/** Counts the lens readings of a run; null when it has none. */
export function lensFacts(run: RunState): LensFacts | null {
  const readings = run.layers.flatMap((read, layer) =>
    (read?.lens ?? []).map((lens) => ({ layer, lens })),
  );
  const kinds = new Set(readings.map(({ lens }) => kindOf(lens)));
  const kind = kinds.has(USUAL) ? USUAL : [...kinds][0];
  const chosen = readings.filter(({ lens }) => kindOf(lens) === kind);
  const first = chosen[0]?.lens;
  if (first === undefined) return null;

  const indices = new Map<string, number>();
  const counts: ([number, number][] | null)[] = new Array(run.layerCount).fill(null);
  let tokens = 0;
  // A layer may be read in parts.
  const tops = new Map<number, Map<number, number>>();
  for (const { layer, lens } of chosen) {
    const top = tops.get(layer) ?? new Map<number, number>();
    tops.set(layer, top);
    topWords(lens, top);
  }
  for (const [layer, top] of tops) {
    const byWord = new Map<number, number>();
    for (const id of top.values()) {
      const word = wordOf(run.tokenText(id)).toLowerCase();
      const index = indices.get(word) ?? indices.size;
      indices.set(word, index);
      byWord.set(index, (byWord.get(index) ?? 0) + 1);
    }
    counts[layer] = [...byWord];
    tokens = Math.max(tokens, top.size);
  }
  const { norm, unembedding } = first;
  return { norm, unembedding, tokens, words: [...indices.keys()], counts };
}

/** Puts a reading's likeliest id of each position into `top`. */
function topWords({ positions, ids }: LensReading, top: Map<number, number>): void {
  const [rows = 0, k = 0] = ids.shape;
  let row = 0;
  for (const [start, end] of positions) {
    for (let position = start; position < end && row < rows; position++, row++) {
      top.set(position, ids.data[row * k] ?? 0);
    }
  }
}
