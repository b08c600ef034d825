/** A value of a prompt file with its place in the text: the same for YAML and JSON. */
export type SourceNode = SourceMap | SourceList | SourceScalar;

interface Placed {
  /** Half-open range of the file's UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

export interface SourceMap extends Placed {
  readonly kind: "map";
  readonly entries: readonly SourceEntry[];
}

export interface SourceEntry {
  readonly key: string;
  /** Range of the key itself. */
  readonly start: number;
  readonly end: number;
  readonly value: SourceNode;
}

export interface SourceList extends Placed {
  readonly kind: "list";
  readonly items: readonly SourceNode[];
}

export interface SourceScalar extends Placed {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** The value as a text: a number as it is written ("1.0"). */
  readonly text: string;
}

/** Why a text is no tree, and where. */
export interface SourceError extends Placed {
  readonly message: string;
}

export type SourceTree =
  | { readonly root: SourceNode }
  | { readonly errors: readonly SourceError[] };

/** Prompt files nest three levels deep; anything deeper than this is not one. */
export const MAX_DEPTH = 32;

export function tooDeep(at: number): SourceError {
  return { message: "is nested too deeply for a prompt file", start: at, end: at + 1 };
}

/** The value under a key, if the node is a map that has it. */
export function valueAt(node: SourceNode | undefined, key: string): SourceNode | undefined {
  return node?.kind === "map" ? node.entries.find((entry) => entry.key === key)?.value : undefined;
}

/** The plain JavaScript value of a tree. */
export function plain(node: SourceNode): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(plain);
    case "map":
      return Object.fromEntries(node.entries.map((entry) => [entry.key, plain(entry.value)]));
  }
}

/** Two entries with one key, if a map has such. */
export function repeatedKey(entries: readonly SourceEntry[]): SourceError | undefined {
  const seen = new Set<string>();
  for (const { key, start, end } of entries) {
    if (seen.has(key)) return { message: `${JSON.stringify(key)} is written twice`, start, end };
    seen.add(key);
  }
  return undefined;
}
