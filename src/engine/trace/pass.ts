import { type ModelError, throwIfCancelled } from "../../common/errors.ts";
import { promptTables } from "../families/shared/rope.ts";
import type { OpenModel } from "../runtime/model.ts";
import { allFinite, notFinite } from "../runtime/not-finite.ts";
import { floats } from "../runtime/session.ts";
import { type BranchRows, LayerAttention, type Projected } from "./attend.ts";
import type { Patch } from "./interventions.ts";
import type { LayerObserver, LayerState, PassRequest } from "./pass-request.ts";
import { alikeUntil, type BranchLayer, layerOf, type PlannedBranch } from "./plan.ts";
import { gatherBranchRows, gatherRows } from "./rows.ts";
import { Scratch } from "./scratch.ts";

/** Rows of one branch between layers. */
interface BranchState {
  readonly plan: PlannedBranch;
  /**
   * Memory for the most rows it will ever have. Taken before the first layer: long-lived blocks that
   * are taken between layers split the room that those layers' large, short-lived ones come back to.
   */
  readonly own: Float32Array;
  /** Residual rows of its dirty positions: [dirty, d]; in the memory of a branch that is alike so far. */
  rows: Float32Array;
}

/**
 * One pass over the layers: the clean run and every branch, of which only the dirty rows are
 * computed, and those of branches that are alike so far only once. At each layer all rows share one
 * reading of its weights; branches read the clean run's keys and values and bring their own only for
 * rows that differ. Equal, to rounding, to a masked full forward per branch.
 *
 * @param embeddings [S, d], the merged prompt.
 */
export async function runPass(
  model: OpenModel,
  embeddings: Float32Array,
  branches: readonly PlannedBranch[],
  request: PassRequest,
  observe: LayerObserver,
  signal?: AbortSignal,
): Promise<void> {
  const pass = new Pass(model, embeddings, branches, request, signal);
  for (let layer = 0; layer < model.layers.length; layer++) {
    await observe(await pass.step(layer));
    throwIfCancelled(signal);
  }
}

class Pass {
  readonly #model: OpenModel;
  readonly #request: PassRequest;
  readonly #signal: AbortSignal | undefined;
  readonly #length: number;
  readonly #width: number;
  readonly #qWidth: number;
  readonly #kWidth: number;
  readonly #attention: LayerAttention;
  readonly #scratch = new Scratch();
  readonly #rope: { cos: Float32Array; sin: Float32Array };
  readonly #branches: BranchState[];
  /** For each layer and branch, the branch that is computed for it. */
  readonly #leaders: readonly Int32Array[];
  /** At the layer under way, for each branch that is computed: those it stands for, itself first. */
  #alike: ReadonlyMap<number, readonly number[]> = new Map();
  #hidden: Float32Array;

  constructor(
    model: OpenModel,
    embeddings: Float32Array,
    branches: readonly PlannedBranch[],
    request: PassRequest,
    signal: AbortSignal | undefined,
  ) {
    const { decoder } = model.spec;
    this.#model = model;
    this.#request = request;
    this.#signal = signal;
    this.#width = decoder.hiddenSize;
    this.#length = embeddings.length / this.#width;
    this.#qWidth = decoder.heads * decoder.headDim;
    this.#kWidth = decoder.kvHeads * decoder.headDim;
    this.#attention = new LayerAttention(model, this.#length, request.limits);
    this.#rope = promptTables(decoder.rope, this.#length, request.positions);
    this.#hidden = embeddings;
    this.#leaders = alikeUntil(branches);
    this.#branches = branches.map((plan) => {
      const dirty = plan.layers[0]?.before.positions ?? new Int32Array();
      const own = new Float32Array(mostRows(plan) * this.#width);
      const rows = own.subarray(0, dirty.length * this.#width);
      gatherRows(embeddings, dirty, this.#width, rows, 0);
      applyPatches(rows, dirty, plan.inputPatches, this.#width);
      return { plan, own, rows };
    });
    this.#reserve(decoder.headDim);
  }

  /** Takes the clean rows and every branch through one layer. */
  async step(layer: number): Promise<LayerState> {
    this.#part(layer);
    this.#alike = byLeader(this.#leaders[layer] ?? new Int32Array());
    this.#attention.enterLayer(layer);
    const chunks = this.#chunks(layer);
    let clean: Projected | undefined;
    let mass: Float32Array | undefined;
    let weights: Float32Array | undefined;
    let next: Float32Array | undefined;
    const branchWeights = new Map<number, Float32Array>();
    for (const [index, chunk] of chunks.entries()) {
      throwIfCancelled(this.#signal);
      const withClean = index === 0;
      const projected = await this.#project(layer, chunk, withClean);
      clean ??= projected.clean;
      if (clean === undefined) throw new Error("the first chunk holds the clean rows");
      const { context, parts } = this.#contexts(layer, chunk, projected.own, withClean);
      if (withClean) this.#request.keepKeys?.(layer, "clean", clean);
      for (const [i, b] of chunk.entries()) {
        const own = projected.own[i];
        if (own === undefined) continue;
        for (const same of this.#alike.get(b) ?? []) this.#request.keepKeys?.(layer, same, own);
      }
      if (withClean) {
        mass = await this.#attention.clean(clean, this.#request.mass, context);
        const { weightRows } = this.#request;
        if (weightRows !== undefined) weights = await this.#chosenWeights(clean, weightRows);
      }
      await this.#attention.branches(clean, parts);
      for (const [i, b] of chunk.entries()) {
        const part = parts[i];
        for (const same of this.#alike.get(b) ?? []) {
          const rows = this.#request.watched?.get(same);
          if (part === undefined || rows === undefined) continue;
          branchWeights.set(same, await this.#chosenWeights(clean, rows, part));
        }
      }
      const done = await this.#finish(layer, chunk, parts, context);
      if (withClean) {
        next = this.#scratch.take(`hidden ${layer % 2}`, this.#length * this.#width);
        next.set(done.subarray(0, next.length));
      }
      this.#request.progress?.(layer, (index + 1) / chunks.length);
    }
    if (next === undefined) throw new Error("a layer has at least the clean rows");
    this.#hidden = next;
    return this.#state(layer, mass, weights, branchWeights);
  }

  /** Takes the working memory of the largest chunk, before any layer runs. */
  #reserve(headDim: number): void {
    const rows = this.#leaders.map((_, layer) =>
      Math.max(...this.#chunks(layer).map((chunk, i) => this.#rowsOf(layer, chunk, i === 0))),
    );
    const most = Math.max(this.#length, ...rows);
    for (const name of ["x", "y"]) this.#scratch.take(name, most * this.#width);
    for (const parity of [0, 1]) {
      this.#scratch.take(`hidden ${parity}`, this.#length * this.#width);
    }
    for (const name of ["cos", "sin"]) this.#scratch.take(name, most * headDim);
    this.#scratch.take("context", most * this.#qWidth);
    for (const chunk of ["first", "further"]) {
      this.#scratch.take(`q ${chunk}`, most * this.#qWidth);
      for (const name of ["k", "v"]) this.#scratch.take(`${name} ${chunk}`, most * this.#kWidth);
    }
  }

  /** Rows of a chunk that go through a layer's matrices. */
  #rowsOf(layer: number, chunk: readonly number[], withClean: boolean): number {
    return chunk.reduce(
      (sum, b) => sum + layerRows(layerOf(this.#branch(b).plan, layer)),
      withClean ? this.#length : 0,
    );
  }

  /** Gives branches that part ways at a layer rows of their own. */
  #part(layer: number): void {
    for (const [b, state] of this.#branches.entries()) {
      if (this.#leaders[layer]?.[b] !== b || state.rows.buffer === state.own.buffer) continue;
      const own = state.own.subarray(0, state.rows.length);
      own.set(state.rows);
      state.rows = own;
    }
  }

  /** Branches to compute together; the first chunk goes with the clean rows. */
  #chunks(layer: number): number[][] {
    const chunks: number[][] = [[]];
    let rows = this.#length;
    this.#branches.forEach(({ plan }, b) => {
      const here = layerOf(plan, layer);
      if (here.computed.positions.length === 0 || this.#leaders[layer]?.[b] !== b) return;
      const count = layerRows(here);
      if (rows + count > this.#request.maxRows && rows > 0) {
        chunks.push([]);
        rows = 0;
      }
      chunks.at(-1)?.push(b);
      rows += count;
    });
    return chunks;
  }

  async #project(
    layer: number,
    chunk: readonly number[],
    withClean: boolean,
  ): Promise<{ clean: Projected | undefined; own: Projected[] }> {
    const states = chunk.map((b) => this.#branch(b));
    const counts = states.map(({ rows }) => rows.length / this.#width);
    const head = withClean ? this.#length : 0;
    const total = head + counts.reduce((sum, count) => sum + count, 0);
    const empty = new Float32Array();
    if (total === 0) {
      return { clean: undefined, own: chunk.map(() => ({ q: empty, k: empty, v: empty })) };
    }
    const { headDim } = this.#model.spec.decoder;
    const x = this.#scratch.take("x", total * this.#width);
    const cos = this.#scratch.take("cos", total * headDim);
    const sin = this.#scratch.take("sin", total * headDim);
    if (withClean) {
      x.set(this.#hidden);
      cos.set(this.#rope.cos);
      sin.set(this.#rope.sin);
    }
    let at = head;
    for (const [i, { plan, rows }] of states.entries()) {
      const positions = layerOf(plan, layer).before.positions;
      x.set(rows, at * this.#width);
      gatherRows(this.#rope.cos, positions, headDim, cos, at);
      gatherRows(this.#rope.sin, positions, headDim, sin, at);
      at += counts[i] ?? 0;
    }
    // The first chunk's stay until the layer is done: all branches read the clean keys.
    const own = withClean ? "first" : "further";
    const q = this.#scratch.take(`q ${own}`, total * this.#qWidth);
    const k = this.#scratch.take(`k ${own}`, total * this.#kWidth);
    const v = this.#scratch.take(`v ${own}`, total * this.#kWidth);
    await this.#sessions(layer).projection.run(
      {
        x: floats(x, [total, this.#width]),
        cos: floats(cos, [total, 1, headDim]),
        sin: floats(sin, [total, 1, headDim]),
      },
      {
        q: floats(q, [total, this.#qWidth]),
        k: floats(k, [total, this.#kWidth]),
        v: floats(v, [total, this.#kWidth]),
      },
    );
    const slice = (first: number, count: number): Projected => ({
      q: q.subarray(first * this.#qWidth, (first + count) * this.#qWidth),
      k: k.subarray(first * this.#kWidth, (first + count) * this.#kWidth),
      v: v.subarray(first * this.#kWidth, (first + count) * this.#kWidth),
    });
    at = head;
    const slices = counts.map((count) => {
      at += count;
      return slice(at - count, count);
    });
    return { clean: withClean ? slice(0, head) : undefined, own: slices };
  }

  /** Room for the context of a chunk's rows, the clean ones first, and each branch's part of it. */
  #contexts(
    layer: number,
    chunk: readonly number[],
    projected: readonly Projected[],
    withClean: boolean,
  ): { context: Float32Array; parts: BranchRows[] } {
    const plans = chunk.map((b) => layerOf(this.#branch(b).plan, layer));
    const head = withClean ? this.#length : 0;
    const total = plans.reduce((sum, { computed }) => sum + computed.positions.length, head);
    const context = this.#scratch.take("context", total * this.#qWidth);
    let at = head * this.#qWidth;
    const parts = plans.map(({ before, computed, blocks }, i) => {
      const own = projected[i];
      if (own === undefined) throw new Error("every branch of a chunk was projected");
      const start = at;
      at += computed.positions.length * this.#qWidth;
      return { before, computed, blocks, own, context: context.subarray(start, at) };
    });
    return { context, parts };
  }

  async #chosenWeights(
    clean: Projected,
    rows: Int32Array,
    part?: BranchRows,
  ): Promise<Float32Array> {
    const q = new Float32Array(rows.length * this.#qWidth);
    gatherRows(clean.q, rows, this.#qWidth, q, 0);
    if (part === undefined) return this.#attention.weights(clean, rows, q);
    rows.forEach((position, i) => {
      const own = part.before.positions.indexOf(position);
      if (own < 0) return;
      q.set(part.own.q.subarray(own * this.#qWidth, (own + 1) * this.#qWidth), i * this.#qWidth);
    });
    const { before, blocks, own } = part;
    return this.#attention.weights(clean, rows, q, { before, blocks, rows: own });
  }

  /** Output projection, MLP and patches; returns the chunk's rows, the clean ones first. */
  async #finish(
    layer: number,
    chunk: readonly number[],
    parts: readonly BranchRows[],
    context: Float32Array,
  ): Promise<Float32Array> {
    const width = this.#width;
    const total = context.length / this.#qWidth;
    const counts = parts.map(({ computed }) => computed.positions.length);
    const head = total - counts.reduce((sum, count) => sum + count, 0);
    const x = this.#scratch.take("x", total * width);
    if (head > 0) x.set(this.#hidden);
    let at = head;
    for (const [i, b] of chunk.entries()) {
      const part = parts[i];
      if (part === undefined) continue;
      const { rows } = this.#branch(b);
      const { before, computed } = part;
      gatherBranchRows(this.#hidden, rows, before.positions, computed.positions, width, x, at);
      at += counts[i] ?? 0;
    }
    const y = this.#scratch.take("y", total * width);
    await this.#sessions(layer).residual.run(
      { x: floats(x, [total, width]), context: floats(context, [total, this.#qWidth]) },
      { y: floats(y, [total, width]) },
    );
    if (!allFinite(y)) throw await this.#notFinite(layer);
    at = head;
    for (const [i, b] of chunk.entries()) {
      const count = counts[i] ?? 0;
      const state = this.#branch(b);
      const here = layerOf(state.plan, layer);
      const rows = y.subarray(at * width, (at + count) * width);
      state.rows = state.own.subarray(0, rows.length);
      state.rows.set(rows);
      applyPatches(state.rows, here.computed.positions, here.patches, width);
      for (const same of this.#alike.get(b) ?? []) this.#branch(same).rows = state.rows;
      at += count;
    }
    return y;
  }

  /** The error for rows that hold an infinity or NaN, which would spread from here. */
  #notFinite(layer: number): Promise<ModelError> {
    const { spec, precision } = this.#model;
    return notFinite(
      spec.root,
      `after decoder layer ${layer + 1} the residual stream is not finite`,
      spec.decoder.layers[layer],
      precision === "float16"
        ? "choose float32 as the precision, which has a larger range"
        : "the file's numbers are not those of a trained model",
    );
  }

  #state(
    layer: number,
    mass: Float32Array | undefined,
    weights: Float32Array | undefined,
    branchWeights: ReadonlyMap<number, Float32Array>,
  ): LayerState {
    const hidden = this.#hidden;
    const width = this.#width;
    return {
      layer,
      hidden,
      mass,
      weights,
      branchRow: (b, position) => {
        const { plan, rows } = this.#branch(b);
        const { after, computed } = layerOf(plan, layer);
        const own = computed.positions.indexOf(position);
        if (own >= 0) return rows.subarray(own * width, (own + 1) * width);
        if (after.positions.includes(position)) {
          throw new Error(`row ${position} was planned as not read after the last layer`);
        }
        return hidden.subarray(position * width, (position + 1) * width);
      },
      branchWeights: (b) => branchWeights.get(b),
    };
  }

  #branch(b: number): BranchState {
    const state = this.#branches[b];
    if (state === undefined) throw new Error(`there is no branch ${b}`);
    return state;
  }

  #sessions(layer: number) {
    const sessions = this.#model.layers[layer];
    if (sessions === undefined) throw new Error(`there is no layer ${layer}`);
    return sessions;
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
function applyPatches(
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
