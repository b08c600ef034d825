import type { AttentionShape } from "../graph/attention.ts";
import type { OpenModel } from "../runtime/model.ts";
import { floats, floatsOf } from "../runtime/session.ts";
import { type Bias, buildBias, hasBlockedRow, NO_KEY } from "./bias.ts";
import type { ActiveBlocks, PositionSet } from "./plan.ts";
import { complement, gatherBranchRows, gatherRows, range } from "./rows.ts";
import { Scratch } from "./scratch.ts";

/** How an attention is cut up: bounds memory, never the result. */
export interface AttentionLimits {
  /** Scores (heads x rows x keys, over branches) that one call may hold. */
  readonly scores: number;
  /** Rows that attend together; their keys end with the last of them. */
  readonly rows: number;
  /** Rows x keys from which on branches with other cuts are run apart, to share one bias. */
  readonly shareBiasFrom: number;
  /** Rows from which on a branch's own keys are merged with the shared ones. */
  readonly mergeFrom: number;
}

export const ATTENTION_LIMITS: AttentionLimits = {
  scores: 12_000_000,
  rows: 256,
  shareBiasFrom: 100_000,
  mergeFrom: 64,
};

/** Queries, keys and values of some rows at one layer: [rows, heads · dim], [rows, kv · dim] twice. */
export interface Projected {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** One branch's part of a layer's attention. */
export interface BranchRows {
  readonly before: PositionSet;
  readonly computed: PositionSet;
  readonly blocks: ActiveBlocks;
  /** Of the rows `before`. */
  readonly own: Projected;
  /** Receives the context of the rows `computed`: [rows, heads · dim]. */
  readonly context: Float32Array;
}

/** Group mass asked of the clean attention. */
export interface MassRequest {
  /** [S, K], row-major: membership: 1 where position s is in key group k. */
  readonly keyGroups: Float32Array;
  readonly keyGroupCount: number;
  /** [Q, S]: 1 / group size where position s is in query group q. */
  readonly queryGroups: Float32Array;
  readonly queryGroupCount: number;
}

/** The keys that some rows read: positions shared with the clean run first, then own ones. */
interface KeyPlan {
  readonly shared: Int32Array;
  /** Positions of the own ones. */
  readonly own: Int32Array;
  readonly bias: Bias;
}

/** Values of key plans (their biases) that are kept from layer to layer. */
const KEPT_BIAS_VALUES = 8_000_000;

const NO_CUTS: ActiveBlocks = { id: -1, blocks: [], byHead: false };

/** Attention of one layer: of the clean rows, and of branches over the clean keys and their own. */
export class LayerAttention {
  readonly #model: OpenModel;
  readonly #shape: AttentionShape;
  readonly #limits: AttentionLimits;
  readonly #length: number;
  readonly #qWidth: number;
  readonly #kWidth: number;
  readonly #scratch = new Scratch();
  /** Positions that rows look back over at the layer under way; undefined: all before them. */
  #window: number | undefined;
  /** Oldest first. */
  readonly #plans = new Map<string, KeyPlan>();
  #planValues = 0;

  /** @param length S */
  constructor(model: OpenModel, length: number, limits: AttentionLimits = ATTENTION_LIMITS) {
    this.#model = model;
    this.#limits = limits;
    this.#shape = model.spec.decoder;
    this.#length = length;
    this.#qWidth = this.#shape.heads * this.#shape.headDim;
    this.#kWidth = this.#shape.kvHeads * this.#shape.headDim;
  }

  /** Goes to a layer: what follows attends as far back as that layer does. */
  enterLayer(layer: number): void {
    const window = this.#model.spec.decoder.layers[layer]?.window;
    this.#window = window !== undefined && window < this.#length ? window : undefined;
  }

  /**
   * Causal attention of the clean run.
   *
   * @param context receives the context of the S rows: [S, heads · dim], or longer.
   * @returns mass [heads, Q, K] when asked for.
   */
  async clean(
    { q, k, v }: Projected,
    mass: MassRequest | undefined,
    context: Float32Array,
  ): Promise<Float32Array | undefined> {
    const session = await this.#model.attention({
      own: "none",
      weights: false,
      mass: mass !== undefined,
    });
    const extents = mass && [1, this.#shape.heads, mass.queryGroupCount, mass.keyGroupCount];
    const total =
      extents && new Float32Array(extents.reduce((product, extent) => product * extent));
    const part = total && this.#scratch.take("mass", total.length);
    for (let first = 0; first < this.#length; first += this.#limits.rows) {
      const end = Math.min(this.#length, first + this.#limits.rows);
      const { bias } = this.#kept(`clean/${first}/${this.#window}`, () => ({
        shared: range(0, end),
        own: new Int32Array(),
        bias: buildBias(this.#shape, range(first, end), range(0, end), [NO_CUTS], this.#window),
      }));
      const rows = (of: Float32Array) =>
        this.#tensor(of.subarray(first * this.#qWidth, end * this.#qWidth), 1, end - first);
      await session.run(
        {
          q: rows(q),
          ks: floats(k.subarray(0, end * this.#kWidth), [end, this.#kWidth]),
          vs: floats(v.subarray(0, end * this.#kWidth), [end, this.#kWidth]),
          bias: floats(bias.data, bias.dims),
          ...(mass === undefined ? {} : massInputs(mass, this.#length, first, end)),
        },
        { context: rows(context), ...(part && extents ? { mass: floats(part, extents) } : {}) },
      );
      if (total === undefined || part === undefined) continue;
      for (let i = 0; i < total.length; i++) total[i] = (total[i] ?? 0) + (part[i] ?? 0);
    }
    return total;
  }

  /**
   * Attention weights after the softmax of chosen rows over all S keys.
   *
   * @param own keys and values of dirty rows, for a branch's weights; absent for the clean run.
   * @returns [heads, rows, S]
   */
  async weights(
    clean: Projected,
    queries: Int32Array,
    q: Float32Array,
    own?: { readonly before: PositionSet; readonly blocks: ActiveBlocks; readonly rows: Projected },
  ): Promise<Float32Array> {
    const session = await this.#model.attention({ own: "none", weights: true, mass: false });
    let { k, v } = clean;
    if (own !== undefined) {
      k = k.slice();
      v = v.slice();
      own.before.positions.forEach((position, i) => {
        k.set(
          own.rows.k.subarray(i * this.#kWidth, (i + 1) * this.#kWidth),
          position * this.#kWidth,
        );
        v.set(
          own.rows.v.subarray(i * this.#kWidth, (i + 1) * this.#kWidth),
          position * this.#kWidth,
        );
      });
    }
    const cuts = own?.blocks ?? NO_CUTS;
    const bias = buildBias(this.#shape, queries, range(0, this.#length), [cuts], this.#window);
    const outputs = await session.run({
      q: this.#tensor(q, 1, queries.length),
      ks: floats(k, [this.#length, this.#kWidth]),
      vs: floats(v, [this.#length, this.#kWidth]),
      bias: floats(bias.data, bias.dims),
    });
    return floatsOf(outputs, "weights");
  }

  /** Attention of branches: fills the context of each. */
  async branches(clean: Projected, branches: readonly BranchRows[]): Promise<void> {
    for (const group of this.#groups(branches)) await this.#group(clean, group);
  }

  /** Branches that attend together: those that compute the same rows, from the same own keys. */
  #groups(branches: readonly BranchRows[]): BranchRows[][] {
    const groups = new Map<string, BranchRows[]>();
    // Of few rows, a branch that starts here joins those that did before: its own keys are clean.
    const starting: [string, BranchRows][] = [];
    const started = new Map<string, BranchRows[]>();
    for (const branch of branches) {
      const { before, computed, blocks } = branch;
      if (computed.positions.length === 0) continue;
      const large = computed.positions.length * this.#length >= this.#limits.shareBiasFrom;
      const rows = `${computed.id}/${large || blocks.byHead ? blocks.id : "any"}`;
      if (!large && before.positions.length === 0) {
        starting.push([rows, branch]);
        continue;
      }
      const key = `${before.id}/${rows}`;
      const group = groups.get(key) ?? [];
      groups.set(key, group);
      started.set(rows, group);
      group.push(branch);
    }
    for (const [rows, branch] of starting) {
      const group = started.get(rows) ?? [];
      if (!started.has(rows)) groups.set(rows, group);
      started.set(rows, group);
      group.push(branch);
    }
    return [...groups.values()];
  }

  /** Shared keys are the clean rows that none of the group changed. */
  async #group(clean: Projected, group: readonly BranchRows[]): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const { positions } = first.computed;
    const rows = positions.length;
    const perRow = this.#shape.heads * this.#length;
    const { scores, rows: maxRows } = this.#limits;
    const rowsAtOnce = Math.max(1, Math.min(rows, maxRows, Math.floor(scores / perRow)));
    const branchesAtOnce = Math.max(1, Math.floor(scores / (perRow * rowsAtOnce)));
    const sameCuts = group.every(({ blocks }) => blocks.id === first.blocks.id);
    for (let r = 0; r < rows; r += rowsAtOnce) {
      const queries = positions.subarray(r, Math.min(rows, r + rowsAtOnce));
      for (let b = 0; b < group.length; b += branchesAtOnce) {
        const some = group.slice(b, b + branchesAtOnce);
        const cuts = sameCuts ? [first.blocks] : some.map(({ blocks }) => blocks);
        const plan = this.#keyPlan(first.before, first.computed, queries, cuts);
        await this.#run(clean, some, queries, r, plan);
      }
    }
  }

  /** The key plan of some rows; kept where all branches share it. */
  #keyPlan(
    before: PositionSet,
    computed: PositionSet,
    queries: Int32Array,
    cuts: readonly ActiveBlocks[],
  ): KeyPlan {
    const [shared, ...others] = cuts;
    const make = () => this.#makeKeyPlan(before, queries, cuts);
    if (shared === undefined || others.length > 0) return make();
    const key = `${before.id}/${computed.id}/${queries[0]}/${queries.length}/${shared.id}/${this.#window}`;
    return this.#kept(key, make);
  }

  /** A key plan that layers ask for again; the oldest go when their biases become many. */
  #kept(key: string, make: () => KeyPlan): KeyPlan {
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#plans.set(key, made);
    this.#planValues += made.bias.data.length;
    for (const [old, { bias }] of this.#plans) {
      if (this.#planValues <= KEPT_BIAS_VALUES) break;
      this.#plans.delete(old);
      this.#planValues -= bias.data.length;
    }
    return made;
  }

  /** Keys up to the last query; all S where some row lost every edge, and is uniform over them. */
  #makeKeyPlan(before: PositionSet, queries: Int32Array, cuts: readonly ActiveBlocks[]): KeyPlan {
    const upTo = this.#keysUpTo(before, queries, cuts, queries.at(-1) ?? 0);
    return hasBlockedRow(upTo.bias) ? this.#keysUpTo(before, queries, cuts, this.#length) : upTo;
  }

  #keysUpTo(
    before: PositionSet,
    queries: Int32Array,
    cuts: readonly ActiveBlocks[],
    lastPosition: number,
  ): KeyPlan {
    const own = before.positions.filter((position) => position <= lastPosition);
    const rest = complement(before.positions, this.#length).filter(
      (position) => position <= lastPosition,
    );
    // Where every row changed, one clean key stands in, masked out of every sum.
    const shared = rest.length > 0 ? rest : Int32Array.of(0);
    const positions = new Int32Array(shared.length + own.length);
    positions.set(rest.length > 0 ? rest : [NO_KEY]);
    positions.set(own, shared.length);
    const bias = buildBias(this.#shape, queries, positions, cuts, this.#window);
    return { shared, own, bias };
  }

  async #run(
    clean: Projected,
    branches: readonly BranchRows[],
    queries: Int32Array,
    firstRow: number,
    { shared, own: ownKeys, bias }: KeyPlan,
  ): Promise<void> {
    const ownRows = ownKeys.length;
    const merged = queries.length >= this.#limits.mergeFrom;
    const variant = ownRows === 0 ? "none" : merged ? "merged" : "apart";
    const session = await this.#model.attention({ own: variant, weights: false, mass: false });
    const count = branches.length;
    const q = this.#scratch.take("q", count * queries.length * this.#qWidth);
    const ko = this.#scratch.take("ko", count * ownRows * this.#kWidth);
    const vo = this.#scratch.take("vo", ko.length);
    branches.forEach(({ before, own }, b) => {
      const dirty = before.positions;
      gatherBranchRows(clean.q, own.q, dirty, queries, this.#qWidth, q, b * queries.length);
      gatherBranchRows(clean.k, own.k, dirty, ownKeys, this.#kWidth, ko, b * ownRows);
      gatherBranchRows(clean.v, own.v, dirty, ownKeys, this.#kWidth, vo, b * ownRows);
    });
    const sharedShape = [shared.length, this.#kWidth];
    const context = this.#scratch.take("context", q.length);
    const inputs = {
      q: this.#tensor(q, count, queries.length),
      ks: floats(this.#rows(clean.k, shared, this.#kWidth), sharedShape),
      vs: floats(this.#rows(clean.v, shared, this.#kWidth), sharedShape),
      ...(ownRows === 0
        ? {}
        : {
            ko: floats(ko, [count, ownRows, this.#kWidth]),
            vo: floats(vo, [count, ownRows, this.#kWidth]),
          }),
      bias: floats(bias.data, bias.dims),
    };
    await session.run(inputs, { context: this.#tensor(context, count, queries.length) });
    const size = queries.length * this.#qWidth;
    branches.forEach((branch, b) => {
      branch.context.set(context.subarray(b * size, (b + 1) * size), firstRow * this.#qWidth);
    });
  }

  #rows(from: Float32Array, rows: Int32Array, width: number): Float32Array {
    const last = rows.length - 1;
    // The usual case, only rows at the end changed, needs no copy.
    if (rows.length > 0 && rows[last] === last) return from.subarray(0, rows.length * width);
    const to = new Float32Array(rows.length * width);
    gatherRows(from, rows, width, to, 0);
    return to;
  }

  #tensor(q: Float32Array, branches: number, rows: number) {
    return floats(q, [branches, rows, this.#qWidth]);
  }
}

function massInputs(mass: MassRequest, length: number, first: number, end: number) {
  const rows = end - first;
  const queryGroups = new Float32Array(mass.queryGroupCount * rows);
  for (let g = 0; g < mass.queryGroupCount; g++) {
    queryGroups.set(mass.queryGroups.subarray(g * length + first, g * length + end), g * rows);
  }
  return {
    key_groups: floats(mass.keyGroups.subarray(0, end * mass.keyGroupCount), [
      end,
      mass.keyGroupCount,
    ]),
    query_groups: floats(queryGroups, [mass.queryGroupCount, rows]),
  };
}
