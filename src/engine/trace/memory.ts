import type { DecoderSpec } from "../families/shared/spec.ts";
import { keepsHead, widenedHeadBytes } from "../runtime/budget.ts";
import { alikeUntil, layerOf, type PlannedBranch } from "./plan.ts";

const FLOAT = 4;

/** How a pass is cut up so that it stays within a memory budget. */
export interface MemoryPlan {
  /** Branches that go through the layers together, by index; each group is one pass. */
  readonly groups: readonly (readonly number[])[];
  /** Rows that go through a layer's matrices together. */
  readonly maxRows: number;
  /** Forecast of the process's largest anonymous memory, mapped weights not counted, in bytes. */
  readonly forecastBytes: number;
}

/** What the process takes before any layer: the program, the clip's pictures and features. */
const PROCESS_BYTES = 0.3e9;
/** The heap holds more than is in use: 1.2 times it at a 7B model's layers. */
const HEAP_SLACK = 1.2;
/** Share of the budget that rows have at the least: a budget too small is passed, and forecast so. */
const LEAST_SHARE = 1 / 10;

/**
 * Splits branches into groups, whose residual rows take at most half of what the budget leaves beside
 * the process and widened weights, and bounds the rows that are in a layer at once by the other half:
 * but for the clean rows, which always go together, and then leave less to the branches.
 *
 * @param length S
 * @param budgetBytes for all anonymous memory of the process.
 */
export function planMemory(
  decoder: DecoderSpec,
  length: number,
  planned: readonly PlannedBranch[],
  budgetBytes: number,
): MemoryPlan {
  const widened = widenedBytes(decoder, budgetBytes);
  const usable = (budgetBytes - PROCESS_BYTES) / HEAP_SLACK - widened;
  const free = Math.max(LEAST_SHARE * budgetBytes, usable);
  const perRow = bytesPerRow(decoder);
  const maxRows = Math.max(length, Math.min(Math.floor(free / 2 / perRow), quickestRows(decoder)));
  const left = Math.max(LEAST_SHARE * budgetBytes, free - maxRows * perRow);
  const forBranches = Math.min(free / 2, left);
  const groups: number[][] = [];
  let group: number[] = [];
  let held = 0;
  let largest = 0;
  planned.forEach((branch, index) => {
    // Rows before the last layer are the most that a branch ever holds: dirty sets only grow.
    const end = branch.layers.at(-1);
    const rows = Math.max(end?.before.positions.length ?? 0, end?.computed.positions.length ?? 0);
    const bytes = rows * decoder.hiddenSize * FLOAT;
    if (group.length > 0 && held + bytes > forBranches) {
      groups.push(group);
      group = [];
      held = 0;
    }
    group.push(index);
    held += bytes;
    largest = Math.max(largest, held);
  });
  groups.push(group);
  const inLayer = Math.min(maxRows, length + largest / (decoder.hiddenSize * FLOAT));
  const inUse = widened + largest + inLayer * perRow;
  return { groups, maxRows, forecastBytes: Math.ceil(PROCESS_BYTES + HEAP_SLACK * inUse) };
}

/** Working memory of one row inside a layer: residuals, projections, MLP, and their copies. */
function bytesPerRow(decoder: DecoderSpec): number {
  const query = decoder.heads * decoder.headDim;
  const key = decoder.kvHeads * decoder.headDim;
  return FLOAT * (6 * decoder.hiddenSize + 4 * query + 4 * key + 4 * decoder.intermediateSize);
}

/** Bytes of one MLP activation up to which its rows stay in the processor's caches. */
const CACHED_BYTES = 32 * 1024 * 1024;
/** What one element of an activation beyond the caches costs, in widened weights. */
const UNCACHED_COST = 24;

/**
 * Rows that are quickest together. More of them spread the widening of a layer's weights, done once
 * for all; fewer keep the MLP's activations in the caches: 10,000 rows at once took 1.3 times as long
 * a row as 2,500 (width 1024), while a 7B layer's weights are worth spreading.
 */
function quickestRows(decoder: DecoderSpec): number {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = decoder;
  const weights = hiddenSize * (3 * intermediateSize + 2 * (heads + kvHeads) * headDim);
  const rows = Math.floor(CACHED_BYTES / FLOAT / intermediateSize);
  return weights / rows < UNCACHED_COST * intermediateSize ? rows : Number.POSITIVE_INFINITY;
}

/** Blocks of weights that are in fp32 at one time. */
const WIDENED_BLOCKS_BYTES = 64e6;

/** Weights that are in fp32 at one time: some blocks, and the unembedding when it is kept. */
function widenedBytes(decoder: DecoderSpec, budgetBytes: number): number {
  const head = keepsHead(decoder, budgetBytes) ? widenedHeadBytes(decoder) : 0;
  return WIDENED_BLOCKS_BYTES + head;
}

/**
 * Work of a pass in multiply-adds, by layer: rows through its matrices and its attention, those of
 * branches that are alike so far counted once. What progress and time forecasts are measured in.
 *
 * @param cleanRows of the clean run: none where it was kept.
 */
export function passWork(
  decoder: DecoderSpec,
  length: number,
  planned: readonly PlannedBranch[],
  cleanRows = length,
): number[] {
  const query = decoder.heads * decoder.headDim;
  const key = decoder.kvHeads * decoder.headDim;
  const perRow =
    decoder.hiddenSize * (2 * query + 2 * key) +
    3 * decoder.hiddenSize * decoder.intermediateSize +
    query * length;
  const alike = alikeUntil(planned);
  return decoder.layers.map((_, layer) => {
    const rows = planned.reduce(
      (sum, branch, b) =>
        sum + (alike[layer]?.[b] === b ? layerOf(branch, layer).computed.positions.length : 0),
      cleanRows,
    );
    return rows * perRow;
  });
}

/**
 * Keys and values that a generation keeps of the prompt, at every layer: the clean run's rows, and
 * each branch's dirty ones; in bytes.
 *
 * @param length S
 */
export function promptCacheBytes(
  decoder: DecoderSpec,
  length: number,
  planned: readonly PlannedBranch[],
): number {
  const perRow = FLOAT * 2 * decoder.kvHeads * decoder.headDim;
  const rows = decoder.layers.map((_, layer) =>
    planned.reduce(
      (sum, branch) => sum + (branch.layers[layer]?.before.positions.length ?? 0),
      length,
    ),
  );
  return perRow * total(rows);
}

/** What branches will cost together, clean rows included. */
export interface PassForecast {
  readonly memory: MemoryPlan;
  /** Of every layer, all groups of branches together but the clean rows once. */
  readonly work: readonly number[];
  /** Multiply-adds of all passes; each further group takes the clean rows along again. */
  readonly multiplyAdds: number;
  /** Multiply-adds of the clean rows alone. */
  readonly clean: number;
}

/**
 * Plans memory and counts work for branches over a prompt of `length` positions.
 *
 * @param cleanKept whether the clean run was kept by an earlier pass.
 */
export function forecastPasses(
  decoder: DecoderSpec,
  length: number,
  planned: readonly PlannedBranch[],
  budgetBytes: number,
  cleanKept = false,
): PassForecast {
  const memory = planMemory(decoder, length, planned, budgetBytes);
  const cleanRows = cleanKept ? 0 : length;
  const work = passWork(decoder, length, planned, cleanRows);
  const clean = total(passWork(decoder, length, [], cleanRows));
  const multiplyAdds = total(work) + (memory.groups.length - 1) * clean;
  return { memory, work, multiplyAdds, clean };
}

/** The sum of some numbers. */
export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
