import { type Branch, cutQueries, type Knockout, type Patch } from "./interventions.ts";

/** Sorted positions; equal sets are one object within a plan, so they are compared by identity. */
export interface PositionSet {
  readonly id: number;
  readonly positions: Int32Array;
}

/** The cuts in force at a layer; equal combinations are one object within a plan. */
export interface ActiveBlocks {
  readonly id: number;
  readonly blocks: readonly Knockout[];
  /** Whether some cut is made in some heads only. */
  readonly byHead: boolean;
}

/** What a branch does at one layer. */
export interface BranchLayer {
  /** Positions whose residual stream may differ from the clean run before the layer … */
  readonly before: PositionSet;
  /** … and after it; holds `before`. */
  readonly after: PositionSet;
  /** Those of `after` that have to be computed: all, but for rows that nobody reads at the end. */
  readonly computed: PositionSet;
  readonly blocks: ActiveBlocks;
  /** Patches made to the residual stream after the layer. */
  readonly patches: readonly Patch[];
}

/** A branch with its dirty rows worked out, layer by layer. */
export interface PlannedBranch {
  readonly branch: Branch;
  readonly layers: readonly BranchLayer[];
  /** Patches made to the input embeddings. */
  readonly inputPatches: readonly Patch[];
}

/**
 * Works out which rows each branch has to compute. A row is dirty after a layer when it was dirty
 * before, when one of its own edges is cut, when it can still read a dirty row, or when it is
 * patched. All other rows equal the clean run's, exactly.
 *
 * @param length S, positions of the sequence.
 * @param layers L, decoder layers.
 * @param readAtEnd positions of a branch (by index) that are read after the last layer: its other
 *   rows are not computed there. Without it, or where it gives undefined, all may be read.
 */
export function planBranches(
  branches: readonly Branch[],
  length: number,
  layers: number,
  readAtEnd?: (branch: number) => readonly number[] | undefined,
): PlannedBranch[] {
  const planner = new Planner(length, layers);
  return branches.map((branch, b) => planner.plan(branch, readAtEnd?.(b)));
}

/**
 * Branches that cannot differ yet: with the same dirty rows, cuts and patches at every layer so far,
 * they have the same rows, and one of them is computed for all. Windows that start together, as at
 * the first layers of a sweep or in the styles `bottom_up` and `inverse`, are alike until one ends.
 *
 * @param planned branches of one plan.
 * @returns for each layer, for each branch, the first branch that is like it up to and including
 *   that layer; its own index where it is computed itself.
 */
export function alikeUntil(planned: readonly PlannedBranch[]): Int32Array[] {
  const ids = new Map<Patch, number>();
  const patchIds = (patches: readonly Patch[]) =>
    patches.map((patch) => {
      const id = ids.get(patch) ?? ids.size;
      ids.set(patch, id);
      return id;
    });
  // Of every branch, the first one with its history so far.
  let first = planned.map(() => 0);
  const extend = (key: (branch: PlannedBranch) => string) => {
    const known = new Map<string, number>();
    first = planned.map((branch, b) => {
      const history = `${first[b]}/${key(branch)}`;
      const same = known.get(history) ?? b;
      known.set(history, same);
      return same;
    });
  };
  extend(({ inputPatches }) => patchIds(inputPatches).join());
  const layers = planned[0]?.layers.length ?? 0;
  return Array.from({ length: layers }, (_, layer) => {
    extend((branch) => {
      const { before, computed, blocks, patches } = layerOf(branch, layer);
      return `${before.id}/${computed.id}/${blocks.id}/${patchIds(patches).join()}`;
    });
    return Int32Array.from(first);
  });
}

/** What a branch does at a layer. */
export function layerOf(branch: PlannedBranch, layer: number): BranchLayer {
  const found = branch.layers[layer];
  if (found === undefined) throw new Error(`the plan has no layer ${layer}`);
  return found;
}

class Planner {
  readonly #length: number;
  readonly #layers: number;
  readonly #sets = new Map<string, PositionSet>();
  readonly #combinations = new Map<string, ActiveBlocks>();
  readonly #edgeIds = new Map<object, number>();
  readonly #next = new Map<string, PositionSet>();

  constructor(length: number, layers: number) {
    this.#length = length;
    this.#layers = layers;
  }

  plan(branch: Branch, readAtEnd: readonly number[] | undefined): PlannedBranch {
    const blocks = branch.interventions.filter((item) => item.kind === "knockout");
    const patches = branch.interventions.filter((item) => item.kind === "patch");
    const inputPatches = patches.filter(({ layer }) => layer === -1);
    let before = this.#set(inputPatches.flatMap(({ positions }) => Array.from(positions)));
    const layers: BranchLayer[] = [];
    for (let layer = 0; layer < this.#layers; layer++) {
      const active = this.#combine(blocks.filter((block) => block.layers.has(layer)));
      const here = patches.filter((patch) => patch.layer === layer);
      let after = this.#spread(before, active);
      if (here.length > 0) {
        const patched = here.flatMap(({ positions }) => Array.from(positions));
        after = this.#set([...after.positions, ...patched]);
      }
      const ends = layer === this.#layers - 1 && readAtEnd !== undefined;
      const computed = ends
        ? this.#set(after.positions.filter((p) => readAtEnd.includes(p)))
        : after;
      layers.push({ before, after, computed, blocks: active, patches: here });
      before = after;
    }
    return { branch, layers, inputPatches };
  }

  /** Dirty rows after a layer's attention, from those before it. */
  #spread(before: PositionSet, active: ActiveBlocks): PositionSet {
    const key = `${before.id}/${active.id}`;
    const known = this.#next.get(key);
    if (known !== undefined) return known;
    const dirty = new Uint8Array(this.#length);
    for (const position of before.positions) dirty[position] = 1;
    for (const { edges } of active.blocks) for (const query of cutQueries(edges)) dirty[query] = 1;
    // A row with no cut of its own is dirty as soon as any dirty row precedes it; rows with cuts
    // of their own are dirty already.
    const first = before.positions[0] ?? this.#length;
    for (let position = first; position < this.#length; position++) dirty[position] = 1;
    const found: number[] = [];
    for (let position = 0; position < this.#length; position++) {
      if (dirty[position] === 1) found.push(position);
    }
    const after = this.#set(found);
    this.#next.set(key, after);
    return after;
  }

  #set(positions: Iterable<number>): PositionSet {
    const sorted = Int32Array.from(new Set(positions)).sort();
    const key = sorted.join();
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = { id: this.#sets.size, positions: sorted };
      this.#sets.set(key, set);
    }
    return set;
  }

  #combine(blocks: readonly Knockout[]): ActiveBlocks {
    const key = blocks
      .map(({ edges, heads }) => `${this.#edgeId(edges)}:${heads?.join() ?? "*"}`)
      .join(";");
    let combination = this.#combinations.get(key);
    if (combination === undefined) {
      const byHead = blocks.some(({ heads }) => heads !== undefined);
      combination = { id: this.#combinations.size, blocks, byHead };
      this.#combinations.set(key, combination);
    }
    return combination;
  }

  #edgeId(edges: object): number {
    let id = this.#edgeIds.get(edges);
    if (id === undefined) {
      id = this.#edgeIds.size;
      this.#edgeIds.set(edges, id);
    }
    return id;
  }
}
