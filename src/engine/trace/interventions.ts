/**
 * A set of attention edges (q, k): query position q reads key position k. Only causal edges (k ≤ q)
 * exist; others in the set have no effect.
 */
export type EdgeSet =
  | {
      /** Every edge from one of the keys to one of the queries; both sorted, without repeats. */
      readonly kind: "product";
      readonly queries: Int32Array;
      readonly keys: Int32Array;
    }
  | {
      /** Listed one by one: for each query position its blocked key positions. */
      readonly kind: "listed";
      readonly rows: ReadonlyMap<number, Int32Array>;
    };

/** Attention knockout: the edges get the lowest finite score before the softmax. */
export interface Knockout {
  readonly kind: "knockout";
  readonly edges: EdgeSet;
  readonly layers: ReadonlySet<number>;
  /** Query heads the cut is made in; absent: all. */
  readonly heads?: readonly number[] | undefined;
}

/**
 * Activation patching and ablation: sets the residual stream, or adds to it, at some positions.
 * Layer l means after decoder layer l; -1 means the input embeddings.
 */
export interface Patch {
  readonly kind: "patch";
  readonly mode: "set" | "add";
  readonly layer: number;
  readonly positions: Int32Array;
  /** [positions, d] */
  readonly values: Float32Array;
}

export type Intervention = Knockout | Patch;

/** A counterfactual run: the clean run with its interventions in force. */
export interface Branch {
  readonly interventions: readonly Intervention[];
}

/** Calls `mark` with the position of each key that one query may not read. */
export function forEachBlockedKey(
  edges: EdgeSet,
  query: number,
  mark: (key: number) => void,
): void {
  const keys =
    edges.kind === "listed"
      ? edges.rows.get(query)
      : contains(edges.queries, query)
        ? edges.keys
        : undefined;
  if (keys === undefined) return;
  for (const key of keys) if (key <= query) mark(key);
}

/** Query positions that lose at least one causal edge; sorted. */
export function cutQueries(edges: EdgeSet): number[] {
  if (edges.kind === "listed") {
    return [...edges.rows]
      .filter(([query, keys]) => keys.some((key) => key <= query))
      .map(([query]) => query)
      .sort((a, b) => a - b);
  }
  const first = edges.keys[0];
  return first === undefined ? [] : Array.from(edges.queries).filter((query) => query >= first);
}

/** Whether a sorted array holds a value. */
export function contains(sorted: Int32Array, value: number): boolean {
  let low = 0;
  let high = sorted.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = sorted[middle] ?? 0;
    if (found === value) return true;
    if (found < value) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}
