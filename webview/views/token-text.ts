import { groupTitle } from "../../src/protocol/group-names.ts";
import { coveredFrames } from "../../src/runs/token-frames.ts";
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
  return `${nameGridFrame(store, cell.frame)}, row ${cell.row + 1}, column ${cell.column + 1} (position ${position})`;
}

/** The sampled frames that a frame of the token grid covers, in words. */
export function nameGridFrame({ run, map }: Store, gridFrame: number): string {
  const gridFrames = map?.grid.frames ?? 0;
  return coveredFrames(gridFrame, gridFrames, run?.video.frames.length ?? gridFrames);
}

/** Any position in words. */
export function describePosition(store: Store, position: number): string {
  const index = store.map?.videoIndex[position] ?? -1;
  if (index >= 0) return describeVideoToken(store, index);
  const token = store.map?.textAt(position);
  if (token === undefined) return `position ${position}`;
  const groups = token.groups.length === 0 ? "no group" : token.groups.map(groupTitle).join(", ");
  return `“${visibleToken(token.text)}” (position ${position}; ${groups})`;
}
