import { parseWords, SPATIAL_WORDS, TEMPORAL_WORDS } from "../../src/runs/words.ts";
import type { Selection } from "../selection.ts";

export const SPATIAL_KEY = "compare:spatial";
export const TEMPORAL_KEY = "compare:temporal";

/** The word lists as text, for editing. */
export function wordTexts(store: Selection): {
  readonly spatial: string;
  readonly temporal: string;
} {
  return {
    spatial: store.choice(SPATIAL_KEY, SPATIAL_WORDS),
    temporal: store.choice(TEMPORAL_KEY, TEMPORAL_WORDS),
  };
}

/** The word lists that are looked for: the usual ones, or as the user has edited them. */
export function wordChoice(store: Selection) {
  const { spatial, temporal } = wordTexts(store);
  return { spatial: parseWords(spatial), temporal: parseWords(temporal) };
}
