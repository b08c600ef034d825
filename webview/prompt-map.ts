import type { RunTokens } from "../src/protocol/events.ts";
import { type Cell, cellCount, cellOf } from "../src/protocol/grid.ts";

/** What kind of group colours a position: the most specific one it belongs to. */
export const GROUP_KINDS = [
  "system",
  "video",
  "question",
  "true-option",
  "option",
  "keyword",
  "last",
  "other",
] as const;
export type GroupKind = (typeof GROUP_KINDS)[number];

export interface PromptPosition {
  readonly position: number;
  readonly text: string;
  readonly kind: GroupKind;
  /** Every group it is in, as named in the run. */
  readonly groups: readonly string[];
}

/** The prompt's positions, laid out for drawing: text tokens in order, video tokens by grid cell. */
export interface PromptMap {
  readonly length: number;
  readonly text: readonly PromptPosition[];
  /** Grid as the run says it, or all zeros when it does not fit the video positions. */
  readonly grid: RunTokens["grid"];
  /** Position of video token v, in the order of the prompt. */
  readonly videoPositions: Int32Array;
  /** Video token at a position, or -1; shape [length]. */
  readonly videoIndex: Int32Array;
  textAt(position: number): PromptPosition | undefined;
  cellAt(position: number): Cell | undefined;
}

/** A prompt longer than this is not drawn (a broken file); real ones have up to about 100,000. */
const MAX_LENGTH = 1_000_000;
const NO_GRID = { frames: 0, rows: 0, columns: 0 };

/** Kind that a group's name gives to its positions; later entries of the order win. */
function kindOf(name: string): GroupKind | undefined {
  if (name === "system" || name === "video" || name === "last") return name;
  if (name === "question" || name === "question-only") return "question";
  if (name === "true-option") return "true-option";
  if (name === "false-options" || name.startsWith("option:")) return "option";
  if (name.startsWith("keyword:")) return "keyword";
  return undefined;
}

/** How specific a kind is: a position in several groups takes the colour of the highest. */
const RANK: Readonly<Record<GroupKind, number>> = {
  other: 0,
  system: 1,
  video: 2,
  question: 3,
  option: 4,
  "true-option": 5,
  keyword: 6,
  last: 7,
};

/** Lays out a run's tokens. Spans that leave the prompt are clipped to it. */
export function promptMap(tokens: RunTokens): PromptMap {
  const length = Math.min(tokens.length, MAX_LENGTH);
  const clipped = (spans: readonly (readonly [number, number])[]) =>
    spans.map(([start, end]) => [Math.min(start, length), Math.min(end, length)] as const);

  const video: number[] = [];
  for (const group of tokens.groups.filter(({ name }) => name === "video")) {
    for (const [start, end] of clipped(group.spans)) {
      for (let position = start; position < end; position += 1) video.push(position);
    }
  }
  const { frames, rows, columns, cells: placed } = tokens.grid;
  const inGrid = placed === undefined || placed.every((cell) => cell < frames * rows * columns);
  const inFrames = inGrid && cellCount(tokens.grid) <= video.length ? cellCount(tokens.grid) : 0;
  // A model may end its video with tokens that belong to no frame: they have no cell.
  const videoPositions = Int32Array.from(inFrames > 0 ? video.slice(0, inFrames) : video);
  const videoIndex = new Int32Array(length).fill(-1);
  videoPositions.forEach((position, index) => {
    videoIndex[position] = index;
  });
  const grid = inFrames > 0 ? tokens.grid : NO_GRID;

  const named = new Map<number, string[]>();
  for (const { name, spans } of tokens.groups) {
    if (name === "video" || name.startsWith("frame:")) continue;
    for (const [start, end] of clipped(spans)) {
      for (let position = start; position < end; position += 1) {
        const names = named.get(position);
        if (names === undefined) named.set(position, [name]);
        else if (!names.includes(name)) names.push(name);
      }
    }
  }
  const text = tokens.text
    .filter(({ position }) => position < length)
    .map(({ position, text: words }): PromptPosition => {
      const groups = named.get(position) ?? [];
      let kind: GroupKind = "other";
      for (const name of groups) {
        const candidate = kindOf(name);
        if (candidate !== undefined && RANK[candidate] > RANK[kind]) kind = candidate;
      }
      return { position, text: words, kind, groups };
    });
  const byPosition = new Map(text.map((token) => [token.position, token]));
  const cells = grid.rows * grid.columns;
  return {
    length,
    text,
    grid,
    videoPositions,
    videoIndex,
    textAt: (position) => byPosition.get(position),
    cellAt: (position) => {
      const index = videoIndex[position] ?? -1;
      if (index < 0 || cells === 0) return undefined;
      return cellOf(grid, index);
    },
  };
}
