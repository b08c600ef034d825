/** Single-character insertions, removals and replacements between two texts (Levenshtein). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Longer texts are compared by their beginnings: the time grows with the product of the lengths. */
const COMPARED = 200;

/** The candidate that a text is most likely a slip of, and how far it is, ignoring case. */
export function nearest(
  text: string,
  candidates: readonly string[],
): { readonly text: string; readonly distance: number } | undefined {
  const seen = (value: string) => value.trim().toLowerCase().slice(0, COMPARED);
  let best: { text: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(seen(text), seen(candidate));
    if (best === undefined || distance < best.distance) best = { text: candidate, distance };
  }
  return best;
}
