import { visibleToken } from "../dom.ts";
import type { GroupKind } from "../prompt-map.ts";
import type { Store } from "../store.ts";

/** Names of the kinds of group, for legends. */
export const KIND_NAMES: Readonly<Record<GroupKind, string>> = {
  system: "system",
  video: "video",
  question: "question",
  "true-option": "true option",
  option: "option",
  keyword: "keyword",
  last: "last",
  other: "template",
};

/** "Frame 2, row 1, column 3 (position 57)" for video token v. */
export function describeVideoToken(store: Store, token: number): string {
  const position = store.map?.videoPositions[token];
  const cell = position === undefined ? undefined : store.map?.cellAt(position);
  if (position === undefined || cell === undefined) return `video token ${token}`;
  return `Frame ${cell.frame + 1}, row ${cell.row + 1}, column ${cell.column + 1} (position ${position})`;
}

/** Any position in words. */
export function describePosition(store: Store, position: number): string {
  const index = store.map?.videoIndex[position] ?? -1;
  if (index >= 0) return describeVideoToken(store, index);
  const token = store.map?.textAt(position);
  if (token === undefined) return `position ${position}`;
  const groups = token.groups.length === 0 ? "no group" : token.groups.join(", ");
  return `“${visibleToken(token.text)}” (position ${position}; ${groups})`;
}
