import { type AlignedText, originOf } from "./aligned.ts";
import { byteName } from "./bytes.ts";
import type { PieceModel, TokenSpan } from "./pieces.ts";
import { PIECE_KINDS, type SentencePieceModel } from "./sentencepiece-file.ts";

/** A stretch of the text on its way to a piece. */
interface Stretch {
  start: number;
  end: number;
  /** Neighbours in the list of stretches; -1 at its ends. */
  before: number;
  after: number;
  /** A symbol of the model's own that is never merged. */
  readonly whole: boolean;
}

/** Two neighbours that make a piece. */
interface Pair {
  readonly left: number;
  readonly right: number;
  readonly score: number;
  /** Length of the piece: whether both are still as they were. */
  readonly size: number;
}

/**
 * SentencePiece's byte-pair encoding: of all neighbours that make a piece, the two whose piece has the
 * highest score are merged first, the leftmost of equals. What is no piece becomes its bytes' pieces,
 * or one unknown token for a run of such characters. (Kudo and Richardson, arXiv 1808.06226; the rules
 * are those of its bpe_model.cc.)
 */
export function scoredPairs(model: SentencePieceModel): PieceModel {
  const { pieces, byteFallback } = model;
  const { normal, userDefined, unused, byte, unknown } = PIECE_KINDS;
  const ids = new Map<string, number>();
  const byteIds = new Map<string, number>();
  pieces.forEach(({ text, kind }, id) => {
    if (kind === byte) byteIds.set(text, id);
    // Control symbols are never made from a text.
    else if (kind === normal || kind === userDefined || kind === unused) ids.set(text, id);
  });
  const unknownId = pieces.findIndex(({ kind }) => kind === unknown);
  const symbols = symbolFinder(pieces.filter((p) => p.kind === userDefined).map((p) => p.text));
  const encoder = new TextEncoder();

  const merged = (text: string): Stretch[] => {
    const list = symbols(text);
    const unusedParts = new Map<string, readonly [string, string]>();
    const queue = new PairQueue();
    const offer = (left: number, right: number) => {
      const [a, b] = [list[left], list[right]];
      if (a === undefined || b === undefined || a.whole || b.whole) return;
      const piece = text.slice(a.start, b.end);
      const id = ids.get(piece);
      if (id === undefined) return;
      if (pieces[id]?.kind === unused) {
        unusedParts.set(piece, [text.slice(a.start, a.end), text.slice(b.start, b.end)]);
      }
      queue.add({ left, right, score: pieces[id]?.score ?? 0, size: b.end - a.start });
    };
    for (let i = 1; i < list.length; i++) offer(i - 1, i);
    for (let pair = queue.take(); pair !== undefined; pair = queue.take()) {
      const [a, b] = [list[pair.left], list[pair.right]];
      if (a === undefined || b === undefined) continue;
      // One of them was merged meanwhile.
      if (a.end === a.start || b.end === b.start || b.end - a.start !== pair.size) continue;
      a.end = b.end;
      a.after = b.after;
      const next = list[b.after];
      if (next !== undefined) next.before = pair.left;
      b.start = b.end;
      offer(a.before, pair.left);
      offer(pair.left, a.after);
    }
    const left = list.filter(({ start, end }) => end > start);
    return left.flatMap((stretch) => takenApart(stretch, text, unusedParts));
  };

  /** A piece that is not used is its two parts again. */
  const takenApart = (
    stretch: Stretch,
    text: string,
    parts: ReadonlyMap<string, readonly [string, string]>,
  ): Stretch[] => {
    const piece = text.slice(stretch.start, stretch.end);
    const id = ids.get(piece);
    const [first] = id !== undefined && pieces[id]?.kind === unused ? (parts.get(piece) ?? []) : [];
    if (first === undefined) return [stretch];
    const middle = stretch.start + first.length;
    return [
      ...takenApart({ ...stretch, end: middle }, text, parts),
      ...takenApart({ ...stretch, start: middle }, text, parts),
    ];
  };

  return (word: AlignedText) => {
    const tokens: TokenSpan[] = [];
    let inUnknown = false;
    for (const { start, end } of merged(word.text)) {
      const range = originOf(word, start, end);
      const piece = word.text.slice(start, end);
      const id = ids.get(piece);
      const bytes =
        id === undefined && byteFallback
          ? Array.from(encoder.encode(piece), (value) => byteIds.get(byteName(value)))
          : [];
      const last = tokens.at(-1);
      if (id !== undefined) tokens.push({ id, ...range });
      else if (bytes.length > 0) {
        for (const value of bytes) tokens.push({ id: value ?? unknownId, ...range });
      } else if (inUnknown && last !== undefined) {
        tokens[tokens.length - 1] = { id: unknownId, start: last.start, end: range.end };
      } else tokens.push({ id: unknownId, ...range });
      inUnknown = id === undefined && bytes.length === 0;
    }
    return tokens;
  };
}

/** Cuts a text into the model's own symbols, the longest at a place first, and single characters. */
function symbolFinder(symbols: readonly string[]): (text: string) => Stretch[] {
  const byFirst = new Map<string, string[]>();
  for (const symbol of symbols) {
    const first = symbol.charAt(0);
    byFirst.set(first, [...(byFirst.get(first) ?? []), symbol]);
  }
  for (const list of byFirst.values()) list.sort((a, b) => b.length - a.length);
  return (text) => {
    const list: Stretch[] = [];
    for (let at = 0; at < text.length; ) {
      const symbol = byFirst.get(text.charAt(at))?.find((known) => text.startsWith(known, at));
      const size = symbol?.length ?? String.fromCodePoint(text.codePointAt(at) ?? 0).length;
      const place = list.length;
      const whole = symbol !== undefined;
      list.push({ start: at, end: at + size, before: place - 1, after: place + 1, whole });
      at += size;
    }
    return list;
  };
}

/** A heap of pairs: the highest score first, the leftmost of equals. */
class PairQueue {
  readonly #heap: Pair[] = [];

  add(pair: Pair): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(pair);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(pair, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = pair;
  }

  take(): Pair | undefined {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      const right = 2 * at + 2;
      let child = right - 1;
      const [a, b] = [heap[child], heap[right]];
      if (a === undefined) break;
      if (b !== undefined && isBefore(b, a)) child = right;
      const below = heap[child];
      if (below === undefined || !isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function isBefore(a: Pair, b: Pair): boolean {
  return a.score > b.score || (a.score === b.score && a.left < b.left);
}
