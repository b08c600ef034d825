import type { Patch } from "./interventions.ts";
import { alikeUntil, type BranchLayer, layerOf, type PlannedBranch } from "./plan.ts";
import { gatherRows } from "./rows.ts";

/** Rows of one branch between layers. */
export interface BranchState {
  readonly plan: PlannedBranch;
  /**
   * Memory for the most rows it will ever have. Taken before the first layer: long-lived blocks that
   * are taken between layers split the room that those layers' large, short-lived ones come back to.
   */
  readonly own: Float32Array;
  /** Residual rows of its dirty positions: [dirty, d]; in the memory of a branch that is alike so far. */
  rows: Float32Array;
}

/** The branches of a pass: their rows from layer to layer, and which are computed together. */
export class Branches {
  readonly #states: readonly BranchState[];
  /** For each layer and branch, the branch that is computed for it. */
  readonly #leaders: readonly Int32Array[];
  /** At the layer under way, for each branch that is computed: those it stands for, itself first. */
  #alike: ReadonlyMap<number, readonly number[]> = new Map();

  /** @param embeddings [S, d], the merged prompt. */
  constructor(planned: readonly PlannedBranch[], embeddings: Float32Array, width: number) {
    this.#leaders = alikeUntil(planned);
    this.#states = planned.map((plan) => {
      const dirty = plan.layers[0]?.before.positions ?? new Int32Array();
      const own = new Float32Array(mostRows(plan) * width);
      const rows = own.subarray(0, dirty.length * width);
      gatherRows(embeddings, dirty, width, rows, 0);
      applyPatches(rows, dirty, plan.inputPatches, width);
      return { plan, own, rows };
    });
  }

  /** Layers that branches have; none without branches. */
  get layers(): number {
    return this.#leaders.length;
  }

  /** Begins a layer: branches that part ways at it get rows of their own. */
  enter(layer: number): void {
    for (const [b, state] of this.#states.entries()) {
      if (this.#leaders[layer]?.[b] !== b || state.rows.buffer === state.own.buffer) continue;
      const own = state.own.subarray(0, state.rows.length);
      own.set(state.rows);
      state.rows = own;
    }
    this.#alike = byLeader(this.#leaders[layer] ?? new Int32Array());
  }

  at(b: number): BranchState {
    const state = this.#states[b];
    if (state === undefined) throw new Error(`there is no branch ${b}`);
    return state;
  }

  /** At the layer under way: the branches that one is computed for, itself first. */
  alike(b: number): readonly number[] {
    return this.#alike.get(b) ?? [];
  }

  /** Gives the branches that one is computed for the rows that it has now. */
  share(b: number): void {
    const { rows } = this.at(b);
    for (const same of this.alike(b)) this.at(same).rows = rows;
  }

  /**
   * Branches to compute together at a layer, at most so many rows at once.
   *
   * @param cleanRows that go with the first chunk.
   */
  chunks(layer: number, maxRows: number, cleanRows: number): number[][] {
    const chunks: number[][] = [[]];
    let rows = cleanRows;
    this.#states.forEach(({ plan }, b) => {
      const here = layerOf(plan, layer);
      if (here.computed.positions.length === 0 || this.#leaders[layer]?.[b] !== b) return;
      const count = layerRows(here);
      if (rows + count > maxRows && rows > 0) {
        chunks.push([]);
        rows = 0;
      }
      chunks.at(-1)?.push(b);
      rows += count;
    });
    return chunks;
  }

  /** The most rows that go through a layer's matrices together. */
  mostRows(maxRows: number, cleanRows: number): number {
    let most = cleanRows;
    for (let layer = 0; layer < this.layers; layer++) {
      for (const [i, chunk] of this.chunks(layer, maxRows, cleanRows).entries()) {
        const rows = chunk.reduce((sum, b) => sum + layerRows(layerOf(this.at(b).plan, layer)), 0);
        most = Math.max(most, rows + (i === 0 ? cleanRows : 0));
      }
    }
    return most;
  }
}

/** Branches by the one that is computed for them, in their order. */
function byLeader(leaders: Int32Array): ReadonlyMap<number, readonly number[]> {
  const members = new Map<number, number[]>();
  leaders.forEach((leader, b) => {
    const known = members.get(leader);
    if (known === undefined) members.set(leader, [b]);
    else known.push(b);
  });
  return members;
}

/**
 * Rows of a branch that go through a layer's matrices. At the last layer few are computed, from the
 * keys of all that were dirty before it.
 */
function layerRows({ before, computed }: BranchLayer): number {
  return Math.max(before.positions.length, computed.positions.length);
}

/** The most rows that a branch holds between layers. */
function mostRows({ layers }: PlannedBranch): number {
  return layers.reduce((most, layer) => Math.max(most, layerRows(layer)), 0);
}

/** Sets or adds to rows; `positions` are those of the rows. */
export function applyPatches(
  rows: Float32Array,
  positions: Int32Array,
  patches: readonly Patch[],
  width: number,
): void {
  for (const patch of patches) {
    patch.positions.forEach((position, i) => {
      const at = positions.indexOf(position) * width;
      if (at < 0) return;
      for (let c = 0; c < width; c++) {
        const value = patch.values[i * width + c] ?? 0;
        rows[at + c] = patch.mode === "set" ? value : (rows[at + c] ?? 0) + value;
      }
    });
  }
}
