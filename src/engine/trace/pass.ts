import { type ModelError, throwIfCancelled } from "../../common/errors.ts";
import { promptTables } from "../families/shared/rope.ts";
import type { OpenModel } from "../runtime/model.ts";
import { allFinite, notFinite } from "../runtime/not-finite.ts";
import { floats } from "../runtime/session.ts";
import { type BranchRows, LayerAttention, type Projected } from "./attend.ts";
import { applyPatches, Branches } from "./branches.ts";
import { CleanRows } from "./clean-rows.ts";
import type { LayerObserver, LayerState, PassRequest } from "./pass-request.ts";
import { layerOf, type PlannedBranch } from "./plan.ts";
import { gatherBranchRows, gatherRows } from "./rows.ts";
import { Scratch } from "./scratch.ts";

/**
 * One pass over the layers: the clean run and every branch, of which only the dirty rows are
 * computed, and those of branches that are alike so far only once. At each layer all rows share one
 * reading of its weights; branches read the clean run's keys and values and bring their own only for
 * rows that differ. Equal, to rounding, to a masked full forward per branch.
 *
 * Where the clean run was kept, its rows, keys and values are read instead of computed: layers at
 * which no branch has rows of its own and nothing is asked are not touched.
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
  await pass.end();
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
  readonly #branches: Branches;
  /** The clean rows before the layer under way. */
  #hidden: Float32Array;
  readonly #kept: CleanRows | undefined;

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
    this.#kept = request.kept && new CleanRows(request.kept, decoder);
    this.#branches = new Branches(branches, embeddings, this.#width);
    this.#reserve(decoder.headDim);
  }

  /** Takes the clean rows and every branch through one layer. */
  async step(layer: number): Promise<LayerState> {
    this.#branches.enter(layer);
    this.#attention.enterLayer(layer);
    return this.#kept === undefined ? this.#compute(layer) : this.#stepFromKept(layer, this.#kept);
  }

  /** Keeps what comes after the last layer. */
  async end(): Promise<void> {
    await this.#request.keep?.last(this.#hidden);
  }

  async #compute(layer: number): Promise<LayerState> {
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
      if (withClean) {
        this.#request.keepKeys?.(layer, "clean", clean);
        await this.#request.keep?.layer(layer, this.#hidden, clean);
        mass = await this.#attention.clean(clean, this.#request.mass, context);
        const { weightRows } = this.#request;
        if (weightRows !== undefined) weights = await this.#chosenWeights(clean, weightRows);
      }
      await this.#attend(layer, chunk, clean, parts, branchWeights);
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

  /** A layer of the branches alone, over keys and values that were kept. */
  async #stepFromKept(layer: number, kept: CleanRows): Promise<LayerState> {
    const { weightRows, keepKeys, progress } = this.#request;
    const chunks = this.#chunks(layer).filter((chunk) => chunk.length > 0);
    const branchWeights = new Map<number, Float32Array>();
    let weights: Float32Array | undefined;
    if (chunks.length > 0 || weightRows !== undefined || keepKeys !== undefined) {
      this.#hidden = kept.hidden(layer);
      const clean = await kept.projected(
        layer,
        this.#cleanQueries(layer, chunks.flat()),
        this.#rope,
        this.#sessions(layer).projection,
      );
      keepKeys?.(layer, "clean", clean);
      if (weightRows !== undefined) weights = await this.#chosenWeights(clean, weightRows);
      for (const [index, chunk] of chunks.entries()) {
        throwIfCancelled(this.#signal);
        const { own } = await this.#project(layer, chunk, false);
        const { context, parts } = this.#contexts(layer, chunk, own, false);
        await this.#attend(layer, chunk, clean, parts, branchWeights);
        await this.#finish(layer, chunk, parts, context);
        progress?.(layer, (index + 1) / chunks.length);
      }
    }
    if (chunks.length === 0) progress?.(layer, 1);
    return this.#state(layer, undefined, weights, branchWeights);
  }

  /** Positions of clean rows whose queries attend: of rows that become dirty here, or are asked for. */
  #cleanQueries(layer: number, branches: readonly number[]): Int32Array {
    const { weightRows, watched } = this.#request;
    const found = new Set(weightRows);
    for (const b of branches) {
      const { before, computed } = layerOf(this.#branches.at(b).plan, layer);
      const dirty = new Set(before.positions);
      for (const position of computed.positions) if (!dirty.has(position)) found.add(position);
      for (const same of this.#branches.alike(b)) {
        for (const row of watched?.get(same) ?? []) if (!dirty.has(row)) found.add(row);
      }
    }
    return Int32Array.from(found).sort();
  }

  /** Attention of a chunk's branches, and the weights of those that are watched. */
  async #attend(
    layer: number,
    chunk: readonly number[],
    clean: Projected,
    parts: readonly BranchRows[],
    branchWeights: Map<number, Float32Array>,
  ): Promise<void> {
    for (const [i, b] of chunk.entries()) {
      const own = parts[i]?.own;
      if (own === undefined) continue;
      for (const same of this.#branches.alike(b)) this.#request.keepKeys?.(layer, same, own);
    }
    await this.#attention.branches(clean, parts);
    for (const [i, b] of chunk.entries()) {
      const part = parts[i];
      for (const same of this.#branches.alike(b)) {
        const rows = this.#request.watched?.get(same);
        if (part === undefined || rows === undefined) continue;
        branchWeights.set(same, await this.#chosenWeights(clean, rows, part));
      }
    }
  }

  /** Clean rows that go through each layer: none where they were kept. */
  get #cleanRows(): number {
    return this.#kept === undefined ? this.#length : 0;
  }

  /** Takes the working memory of the largest chunk, before any layer runs. */
  #reserve(headDim: number): void {
    const most = this.#branches.mostRows(this.#request.maxRows, this.#cleanRows);
    for (const name of ["x", "y"]) this.#scratch.take(name, most * this.#width);
    for (const parity of this.#kept === undefined ? [0, 1] : []) {
      this.#scratch.take(`hidden ${parity}`, this.#length * this.#width);
    }
    for (const name of ["cos", "sin"]) this.#scratch.take(name, most * headDim);
    this.#scratch.take("context", most * this.#qWidth);
    for (const chunk of ["first", "further"]) {
      this.#scratch.take(`q ${chunk}`, most * this.#qWidth);
      for (const name of ["k", "v"]) this.#scratch.take(`${name} ${chunk}`, most * this.#kWidth);
    }
  }

  /** Branches to compute together; the first chunk goes with the clean rows, where they are computed. */
  #chunks(layer: number): number[][] {
    return this.#branches.chunks(layer, this.#request.maxRows, this.#cleanRows);
  }

  async #project(
    layer: number,
    chunk: readonly number[],
    withClean: boolean,
  ): Promise<{ clean: Projected | undefined; own: Projected[] }> {
    const states = chunk.map((b) => this.#branches.at(b));
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
    const plans = chunk.map((b) => layerOf(this.#branches.at(b).plan, layer));
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
      const { rows } = this.#branches.at(b);
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
      const state = this.#branches.at(b);
      const here = layerOf(state.plan, layer);
      const rows = y.subarray(at * width, (at + count) * width);
      state.rows = state.own.subarray(0, rows.length);
      state.rows.set(rows);
      applyPatches(state.rows, here.computed.positions, here.patches, width);
      this.#branches.share(b);
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
    const kept = this.#kept;
    const computed = this.#hidden;
    const width = this.#width;
    const hiddenAfter = () => (kept === undefined ? computed : kept.hidden(layer + 1));
    return {
      layer,
      get hidden() {
        return hiddenAfter();
      },
      mass,
      weights,
      branchRow: (b, position) => {
        const { plan, rows } = this.#branches.at(b);
        const { after, computed } = layerOf(plan, layer);
        const own = computed.positions.indexOf(position);
        if (own >= 0) return rows.subarray(own * width, (own + 1) * width);
        if (after.positions.includes(position)) {
          throw new Error(`row ${position} was planned as not read after the last layer`);
        }
        return hiddenAfter().subarray(position * width, (position + 1) * width);
      },
      branchWeights: (b) => branchWeights.get(b),
    };
  }

  #sessions(layer: number) {
    const sessions = this.#model.layers[layer];
    if (sessions === undefined) throw new Error(`there is no layer ${layer}`);
    return sessions;
  }
}
