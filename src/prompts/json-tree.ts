import {
  MAX_DEPTH,
  repeatedKey,
  type SourceEntry,
  type SourceError,
  type SourceNode,
  type SourceTree,
  tooDeep,
} from "./source-tree.ts";

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
const WORD = /[^\s,\]}]+/y;

/** Parses JSON (RFC 8259) with the place of every value. */
export function parseJsonTree(text: string): SourceTree {
  try {
    JSON.parse(text);
  } catch (error) {
    return { errors: [syntaxError(error, text)] };
  }
  // The text is valid from here on, so that finding the places needs no further checks.
  const walker = new JsonWalker(text);
  const root = walker.value(0);
  return walker.errors.length > 0 ? { errors: walker.errors } : { root };
}

/**
 * Parses JSON Lines (one JSON value a line, empty lines left out) as the list of the lines' values.
 */
export function parseJsonLines(text: string): SourceTree {
  const items: SourceNode[] = [];
  const errors: SourceError[] = [];
  for (const line of text.matchAll(/[^\r\n]*\S[^\r\n]*/g)) {
    const tree = parseJsonTree(line[0]);
    if ("root" in tree) items.push(moved(tree.root, line.index));
    else for (const error of tree.errors) errors.push(movedPlace(error, line.index));
  }
  if (errors.length > 0) return { errors };
  return { root: { kind: "list", items, start: 0, end: text.length } };
}

/** Whether a text that is not JSON is JSON Lines: its first two lines are an object each. */
export function isJsonLines(text: string): boolean {
  const [first, second] = text.match(/[^\r\n]*\S[^\r\n]*/g)?.slice(0, 2) ?? [];
  return [first, second].every((line) => line !== undefined && isJsonObject(line));
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function movedPlace<T extends { readonly start: number; readonly end: number }>(
  placed: T,
  by: number,
): T {
  return { ...placed, start: placed.start + by, end: placed.end + by };
}

function moved(node: SourceNode, by: number): SourceNode {
  switch (node.kind) {
    case "scalar":
      return movedPlace(node, by);
    case "list":
      return { ...movedPlace(node, by), items: node.items.map((item) => moved(item, by)) };
    case "map":
      return {
        ...movedPlace(node, by),
        entries: node.entries.map((entry) => ({
          ...movedPlace(entry, by),
          value: moved(entry.value, by),
        })),
      };
  }
}

/** The engine's own message names a position, in words that differ between its versions. */
function syntaxError(error: unknown, text: string): SourceError {
  const said = error instanceof Error ? error.message : String(error);
  const position = /position (\d+)/.exec(said)?.[1];
  const start = Math.min(position === undefined ? text.length : Number(position), text.length);
  const what = said.replace(/ in JSON at position.*|, ".*/s, "").replace(/ \(line.*/s, "");
  return { message: `is not JSON: ${what}`, start, end: start + 1 };
}

class JsonWalker {
  readonly errors: SourceError[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): SourceNode {
    this.#take(SPACE);
    const start = this.#at;
    const first = this.#text[start];
    if (depth > MAX_DEPTH) {
      this.errors.push(tooDeep(start));
      this.#at = this.#text.length;
    } else if (first === "{") {
      const entries = this.#members(() => this.#entry(depth));
      const twice = repeatedKey(entries);
      if (twice !== undefined) this.errors.push(twice);
      return { kind: "map", entries, start, end: this.#at };
    } else if (first === "[") {
      const items = this.#members(() => this.value(depth + 1));
      return { kind: "list", items, start, end: this.#at };
    }
    const source = this.#take(first === '"' ? STRING : WORD);
    const value = source === "" ? null : JSON.parse(source);
    const text = typeof value === "string" ? value : source;
    return { kind: "scalar", value, text, start, end: this.#at };
  }

  #entry(depth: number): SourceEntry {
    this.#take(SPACE);
    const start = this.#at;
    const key = JSON.parse(this.#take(STRING));
    const end = this.#at;
    this.#take(SPACE);
    this.#at++;
    return { key, start, end, value: this.value(depth + 1) };
  }

  /** What stands between an opening bracket and its closing one, both of which are passed. */
  #members<T>(member: () => T): T[] {
    const members: T[] = [];
    this.#at++;
    this.#take(SPACE);
    while (this.#at < this.#text.length && !/[\]}]/.test(this.#text.charAt(this.#at))) {
      members.push(member());
      this.#take(SPACE);
      if (this.#text[this.#at] === ",") this.#at++;
    }
    this.#at++;
    return members;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += taken.length;
    return taken;
  }
}
