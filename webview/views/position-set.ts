import { groupTitle } from "../../src/protocol/group-names.ts";
import { visibleToken } from "../dom.ts";
import type { Store } from "../store.ts";

/** A set of positions in few words: the group it equals, a single token's text, or a count. */
export function positionsText(store: Store, positions: ReadonlySet<number>): string {
  const equal = (store.run?.tokens.groups ?? []).filter(({ spans }) => {
    const size = spans.reduce((sum, [start, end]) => sum + end - start, 0);
    if (size !== positions.size) return false;
    return [...positions].every((p) => spans.some(([start, end]) => p >= start && p < end));
  });
  // "true-option" says more than "option:A", which has the same positions.
  const named = equal.find(({ name }) => !name.startsWith("option:")) ?? equal[0];
  if (named !== undefined) return groupTitle(named.name);
  const [first] = positions;
  if (positions.size === 1 && first !== undefined) {
    const token = store.map?.textAt(first);
    return token === undefined ? `position ${first}` : `“${visibleToken(token.text)}”`;
  }
  return `${positions.size} tokens`;
}
