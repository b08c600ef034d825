import { throwIfCancelled } from "../../common/errors.ts";
import { nextPosition, type Positions, ropeTables } from "../families/shared/rope.ts";
import type { OpenModel } from "../runtime/model.ts";
import { floats, floatsOf } from "../runtime/session.ts";
import { BLOCKED, buildBias, NO_KEY } from "./bias.ts";
import { runPass } from "./pass.ts";
import type { Keys, PassRequest } from "./pass-request.ts";
import type { ActiveBlocks, PlannedBranch, PositionSet } from "./plan.ts";
import { complement, gatherRows } from "./rows.ts";
import { unembed } from "./unembed.ts";

/** A token that a run generated greedily, with its probability over the whole vocabulary. */
export interface GeneratedToken {
  /** Index of the branch; absent for the clean run. */
  readonly branch: number | undefined;
  readonly step: number;
  readonly id: number;
  readonly probability: number;
}

/** How far and how decoding goes. */
export interface GenerateRequest extends Pick<PassRequest, "kept" | "keep"> {
  /** Where the prompt's rows stand for the decoder's rotation; absent: 0 … S-1. */
  readonly positions?: Positions | undefined;
  readonly maxTokens: number;
  readonly endTokenIds: readonly number[];
  readonly maxRows: number;
  readonly progress: (done: number, total: number) => void;
}

const NO_POSITIONS: PositionSet = { id: -1, positions: new Int32Array() };
const NO_CUTS: ActiveBlocks = { id: -1, blocks: [], byHead: false };

/**
 * Greedy decoding of the clean run and of every branch, the interventions in force at every step: a
 * generated token is blind to the prompt's keys that the prompt's last position is cut from, and free
 * to read what was generated. All runs share the clean prompt's keys and values; a branch keeps its
 * own of its dirty rows and of what it generated.
 *
 * @param embeddings [S, d], the merged prompt.
 * @param tell receives each token as it is found; end tokens are not told.
 */
export async function generate(
  model: OpenModel,
  embeddings: Float32Array,
  branches: readonly PlannedBranch[],
  request: GenerateRequest,
  tell: (token: GeneratedToken) => void,
  signal: AbortSignal,
): Promise<void> {
  const length = embeddings.length / model.spec.decoder.hiddenSize;
  const cache = new PromptCache(model, length, branches);
  const sequences: Sequence[] = [undefined, ...branches.keys()].map((branch) => ({
    branch,
    generated: [],
    last: undefined,
  }));
  const total = request.maxTokens + 1;
  await runPass(
    model,
    embeddings,
    branches,
    {
      kept: request.kept,
      keep: request.keep,
      positions: request.positions,
      maxRows: request.maxRows,
      keepKeys: (...keys) => cache.keep(...keys),
    },
    async (state) => {
      request.progress((state.layer + 1) / model.layers.length, total);
      if (state.layer < model.layers.length - 1) return;
      const width = model.spec.decoder.hiddenSize;
      for (const sequence of sequences) {
        sequence.last =
          sequence.branch === undefined
            ? state.hidden.slice((length - 1) * width)
            : state.branchRow(sequence.branch, length - 1).slice();
      }
    },
    signal,
  );
  const next = nextPosition(length, request.positions);
  let active = sequences;
  for (let step = 0; step < request.maxTokens && active.length > 0; step++) {
    throwIfCancelled(signal);
    const found = await nextTokens(model, active);
    active = active.filter((sequence, i) => {
      const token = found[i];
      if (token === undefined || request.endTokenIds.includes(token.id)) return false;
      tell({ branch: sequence.branch, step, ...token });
      sequence.next = token.id;
      return true;
    });
    request.progress(step + 2, total);
    if (step + 1 < request.maxTokens && active.length > 0) {
      await decodeStep(model, cache, active, next + step, signal);
    }
  }
}

/** One run's decoding state. */
interface Sequence {
  readonly branch: number | undefined;
  /** Keys and values of the generated positions, by layer: [tokens, kv_heads · dim]. */
  readonly generated: Keys[];
  /** Residual row of its last position after the last layer. */
  last: Float32Array | undefined;
  /** Token to decode next. */
  next?: number;
}

async function nextTokens(
  model: OpenModel,
  sequences: readonly Sequence[],
): Promise<{ id: number; probability: number }[]> {
  const width = model.spec.decoder.hiddenSize;
  const rows = new Float32Array(sequences.length * width);
  sequences.forEach(({ last }, i) => {
    if (last !== undefined) rows.set(last, i * width);
  });
  const normed = sequences.map(() => true);
  const read = await unembed(model, rows, normed, { k: 1, chosen: new Int32Array() });
  return sequences.map((_, i) => ({ id: read.topIds[i] ?? 0, probability: read.top[i] ?? 0 }));
}

/** Takes each sequence's next token, at one position, through all layers. */
async function decodeStep(
  model: OpenModel,
  cache: PromptCache,
  sequences: readonly Sequence[],
  position: number,
  signal: AbortSignal,
): Promise<void> {
  const { decoder } = model.spec;
  const width = decoder.hiddenSize;
  const count = sequences.length;
  let x: Float32Array = await model.embed(sequences.map(({ next }) => next ?? 0));
  const rows = sequences.map(() => position);
  const rope = ropeTables(
    decoder.rope,
    decoder.rope.axes === undefined ? [rows] : [rows, rows, rows],
  );
  for (const [layer, { projection, residual }] of model.layers.entries()) {
    throwIfCancelled(signal);
    const outputs = await projection.run({
      x: floats(x, [count, width]),
      cos: floats(rope.cos, [count, 1, decoder.headDim]),
      sin: floats(rope.sin, [count, 1, decoder.headDim]),
    });
    const k = floatsOf(outputs, "k");
    const v = floatsOf(outputs, "v");
    const kWidth = k.length / count;
    sequences.forEach((sequence, i) => {
      const before = sequence.generated[layer];
      sequence.generated[layer] = {
        k: joined(before?.k, k.subarray(i * kWidth, (i + 1) * kWidth)),
        v: joined(before?.v, v.subarray(i * kWidth, (i + 1) * kWidth)),
      };
    });
    const context = await cache.attend(layer, sequences, floatsOf(outputs, "q"));
    const done = await residual.run({
      x: floats(x, [count, width]),
      context: floats(context, [count, context.length / count]),
    });
    x = floatsOf(done, "y");
  }
  sequences.forEach((sequence, i) => {
    sequence.last = x.slice(i * width, (i + 1) * width);
  });
}

/** Keys and values of the prompt at every layer: the clean run's, and each branch's dirty rows'. */
class PromptCache {
  readonly #model: OpenModel;
  readonly #length: number;
  readonly #branches: readonly PlannedBranch[];
  readonly #clean: Keys[] = [];
  readonly #own: Keys[][];

  constructor(model: OpenModel, length: number, branches: readonly PlannedBranch[]) {
    this.#model = model;
    this.#length = length;
    this.#branches = branches;
    this.#own = branches.map(() => []);
  }

  keep(layer: number, branch: number | "clean", { k, v }: Keys): void {
    const kept = { k: k.slice(), v: v.slice() };
    if (branch === "clean") this.#clean[layer] = kept;
    else (this.#own[branch] ?? [])[layer] = kept;
  }

  /** Attention of one new row per sequence: context [sequences, heads · dim]. */
  async attend(
    layer: number,
    sequences: readonly Sequence[],
    q: Float32Array,
  ): Promise<Float32Array> {
    const groups = new Map<number, number[]>();
    sequences.forEach(({ branch }, i) => {
      const { id } = this.#at(layer, branch).before;
      groups.set(id, [...(groups.get(id) ?? []), i]);
    });
    const context = new Float32Array(q.length);
    for (const members of groups.values()) {
      await this.#attendGroup(layer, sequences, members, q, context);
    }
    return context;
  }

  async #attendGroup(
    layer: number,
    sequences: readonly Sequence[],
    members: readonly number[],
    q: Float32Array,
    context: Float32Array,
  ): Promise<void> {
    const { decoder } = this.#model.spec;
    const qWidth = decoder.heads * decoder.headDim;
    const kWidth = decoder.kvHeads * decoder.headDim;
    const clean = this.#clean[layer];
    const group = members.flatMap((i) => sequences[i] ?? []);
    const places = group.map(({ branch }) => this.#at(layer, branch));
    const dirty = places[0]?.before.positions ?? NO_POSITIONS.positions;
    if (clean === undefined) throw new Error(`layer ${layer} of the prompt was not kept`);
    const rest = complement(dirty, this.#length);
    // Where every row of the prompt changed, one clean key stands in, masked out.
    const shared = rest.length > 0 ? rest : Int32Array.of(0);
    const ks = new Float32Array(shared.length * kWidth);
    const vs = new Float32Array(ks.length);
    gatherRows(clean.k, shared, kWidth, ks, 0);
    gatherRows(clean.v, shared, kWidth, vs, 0);
    const generated = (group[0]?.generated[layer]?.k.length ?? 0) / kWidth;
    const own = dirty.length + generated;
    const ko = new Float32Array(group.length * own * kWidth);
    const vo = new Float32Array(ko.length);
    const rows = new Float32Array(group.length * qWidth);
    for (const [b, sequence] of group.entries()) {
      const prompt =
        sequence.branch === undefined ? undefined : this.#own[sequence.branch]?.[layer];
      const mine = sequence.generated[layer];
      if (prompt !== undefined) {
        ko.set(prompt.k, b * own * kWidth);
        vo.set(prompt.v, b * own * kWidth);
      }
      if (mine !== undefined) {
        ko.set(mine.k, (b * own + dirty.length) * kWidth);
        vo.set(mine.v, (b * own + dirty.length) * kWidth);
      }
      const i = members[b] ?? 0;
      rows.set(q.subarray(i * qWidth, (i + 1) * qWidth), b * qWidth);
    }
    const keys = new Int32Array(shared.length + own);
    keys.set(rest.length > 0 ? rest : [NO_KEY]);
    keys.set(dirty, shared.length);
    const promptKeys = shared.length + dirty.length;
    for (let j = 0; j < generated; j++) keys[promptKeys + j] = this.#length + j;
    const bias = promptBias(
      decoder,
      this.#length,
      keys,
      promptKeys,
      places.map(({ blocks }) => blocks),
      decoder.layers[layer]?.window,
    );
    const session = await this.#model.attention({ own: "apart", weights: false, mass: false });
    const outputs = await session.run({
      q: floats(rows, [group.length, 1, qWidth]),
      ks: floats(ks, [shared.length, kWidth]),
      vs: floats(vs, [shared.length, kWidth]),
      ko: floats(ko, [group.length, own, kWidth]),
      vo: floats(vo, [group.length, own, kWidth]),
      bias,
    });
    const found = floatsOf(outputs, "context");
    members.forEach((i, b) => {
      context.set(found.subarray(b * qWidth, (b + 1) * qWidth), i * qWidth);
    });
  }

  #at(layer: number, branch: number | undefined) {
    const here = branch === undefined ? undefined : this.#branches[branch]?.layers[layer];
    return here ?? { before: NO_POSITIONS, blocks: NO_CUTS };
  }
}

/**
 * The bias of the newest generated row: over the prompt's keys that of the prompt's last row; generated
 * keys, which follow them, are free. What the layer's window leaves out is masked besides.
 */
function promptBias(
  decoder: OpenModel["spec"]["decoder"],
  length: number,
  keys: Int32Array,
  promptKeys: number,
  cuts: readonly ActiveBlocks[],
  window = Number.POSITIVE_INFINITY,
) {
  const query = Int32Array.of(length - 1);
  const prompt = buildBias(decoder, query, keys.subarray(0, promptKeys), cuts);
  const [kv, branches, group] = prompt.dims;
  const data = new Float32Array(kv * branches * group * keys.length);
  for (let i = 0; i < kv * branches * group; i++) {
    data.set(prompt.data.subarray(i * promptKeys, (i + 1) * promptKeys), i * keys.length);
  }
  const last = keys.at(-1) ?? 0;
  for (let i = 0; i < data.length; i++) {
    const key = keys[i % keys.length] ?? 0;
    if (key !== NO_KEY && key <= last - window) data[i] = BLOCKED;
  }
  return floats(data, [kv, branches, group, 1, keys.length]);
}

function joined(before: Float32Array | undefined, row: Float32Array): Float32Array {
  const all = new Float32Array((before?.length ?? 0) + row.length);
  if (before !== undefined) all.set(before);
  all.set(row, before?.length ?? 0);
  return all;
}
