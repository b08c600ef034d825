/** Default word lists of the vocabulary-frequency figure, comma-separated; users edit them. */
export const SPATIAL_WORDS =
  "circle, square, star, triangle, person, man, woman, hand, table, car, sky, water, grass, tree, red, orange, yellow, green, blue, purple, white, black, left, right, top, bottom, middle, background";
export const TEMPORAL_WORDS =
  "up, down, moving, move, moves, rising, falling, then, after, before, first, last, towards, apart, enters, leaves, grows, shrinks, open, close, start, end, turn, change";

/** "a, B , c" as lower-case words. */
export function parseWords(text: string): string[] {
  return [
    ...new Set(
      text
        .toLowerCase()
        .split(/[,;\n]/)
        .map((word) => word.trim())
        .filter((word) => word !== ""),
    ),
  ];
}

/** A token's text as a word to compare and show: trimmed, tokenizers' word-start signs removed. */
export function wordOf(tokenText: string): string {
  return tokenText.replaceAll("▁", " ").replaceAll("Ġ", " ").trim();
}
