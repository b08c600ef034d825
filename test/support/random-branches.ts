import fc from "fast-check";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import type { Positions } from "../../src/engine/families/shared/rope.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import type { Branch, EdgeSet, Intervention } from "../../src/engine/trace/interventions.ts";
import { Noise, type RandomSizes, randomCheckpoint } from "./random-checkpoint.ts";

const SETTINGS = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;
const BASE = { inner: 40, layers: 4, vocab: 60, dtype: "F32", seed: 7 } as const;
const SHAPES: RandomSizes[] = [
  { ...BASE, hidden: 32, heads: 4, kvHeads: 4, headDim: 8 },
  { ...BASE, hidden: 24, heads: 6, kvHeads: 2, headDim: 6 },
  { ...BASE, hidden: 20, heads: 3, kvHeads: 1, headDim: 10, dtype: "BF16" },
  { ...BASE, hidden: 24, heads: 4, kvHeads: 2, headDim: 6, seed: 8 },
  { ...BASE, hidden: 24, heads: 4, kvHeads: 2, headDim: 6 },
];
/** How far the rows of the last but one shape look back, by layer. */
const WINDOWS = [undefined, 3, 1, 5];
/** The last shape's frequencies turn by positions on three axes, as M-RoPE's do. */
const AXES = [0, 1, 2];

/** A pass to make: a model, a prompt, branches. */
export interface PassCase {
  readonly shape: number;
  readonly length: number;
  readonly seed: number;
  readonly branches: Branch[];
  readonly maxRows: number;
  /** Rows that attend together, and rows x keys from which on branches share one bias. */
  readonly rows: number;
  readonly shareBiasFrom: number;
  readonly mergeFrom: number;
  /** Whether only the last row is read after the last layer. */
  readonly endOnly: boolean;
}

const subset = (length: number, minLength = 1) =>
  fc
    .uniqueArray(fc.nat(length - 1), { minLength, maxLength: length })
    .map((items) => Int32Array.from(items).sort());

function edges(length: number): fc.Arbitrary<EdgeSet> {
  const product = fc.record({ queries: subset(length), keys: subset(length) });
  const listed = fc
    .array(fc.tuple(fc.nat(length - 1), subset(length)), { minLength: 1, maxLength: 6 })
    .map((rows) => ({ kind: "listed" as const, rows: new Map(rows) }));
  // Every edge of some rows: those become uniform over all S positions.
  const whole = subset(length).map((queries) => ({
    kind: "product" as const,
    queries,
    keys: Int32Array.from({ length }, (_, key) => key),
  }));
  return fc.oneof(
    product.map((sets) => ({ kind: "product" as const, ...sets })),
    listed,
    whole,
  );
}

function intervention(length: number, sizes: RandomSizes): fc.Arbitrary<Intervention> {
  const layers = fc.uniqueArray(fc.nat(sizes.layers - 1), { minLength: 1 });
  const block = fc
    .record({
      edges: edges(length),
      layers: layers.map((items) => new Set(items)),
      heads: fc.option(fc.uniqueArray(fc.nat(sizes.heads - 1), { minLength: 1 }), {
        nil: undefined,
      }),
    })
    .map((parts) => ({ kind: "knockout" as const, ...parts }));
  const patch = fc
    .record({
      mode: fc.constantFrom("set" as const, "add" as const),
      layer: fc.integer({ min: -1, max: sizes.layers - 1 }),
      positions: subset(length),
      seed: fc.nat(1e6),
    })
    .map(({ seed, ...parts }) => ({
      kind: "patch" as const,
      ...parts,
      values: new Noise(seed).draw(parts.positions.length * sizes.hidden, 1),
    }));
  return fc.oneof({ weight: 3, arbitrary: block }, { weight: 1, arbitrary: patch });
}

/**
 * Branches that use some of a few interventions, now and then at other layers: many are alike in
 * their first layers, and part ways later.
 */
function relatives(length: number, sizes: RandomSizes): fc.Arbitrary<Branch[]> {
  const layers = fc.uniqueArray(fc.nat(sizes.layers - 1), { minLength: 1 });
  const pool = fc.array(intervention(length, sizes), { minLength: 1, maxLength: 3 });
  const use = fc.record({ which: fc.nat(2), layers: fc.option(layers, { nil: undefined }) });
  const uses = fc.array(fc.array(use, { maxLength: 3 }), { minLength: 2, maxLength: 6 });
  return fc.tuple(pool, uses).map(([made, each]) =>
    each.map((some) => ({
      interventions: some.flatMap(({ which, layers: other }) => {
        const one = made[which % made.length];
        if (one === undefined) return [];
        return other === undefined || one.kind === "patch"
          ? [one]
          : [{ ...one, layers: new Set(other) }];
      }),
    })),
  );
}

/**
 * Branches as a sweep has them: the same rows lose edges to some keys, each series' window starting at
 * another layer. At a layer some have started, some start there, some are over; many have equal cuts.
 */
function sweeps(length: number, sizes: RandomSizes): fc.Arbitrary<Branch[]> {
  const series = fc.array(subset(length), { minLength: 1, maxLength: 3 });
  const window = fc.integer({ min: 1, max: sizes.layers });
  return fc.tuple(subset(length), series, window).map(([queries, each, layers]) =>
    each.flatMap((keys) => {
      const edges = { kind: "product", queries, keys } as const;
      return Array.from({ length: sizes.layers }, (_, first) => {
        const acts = Array.from({ length: layers }, (_, i) => first + i);
        return { interventions: [{ kind: "knockout", edges, layers: new Set(acts) } as const] };
      });
    }),
  );
}

/** Branches over a random model's rows, and how the pass is cut up. */
export const passCases: fc.Arbitrary<PassCase> = fc
  .record({
    shape: fc.nat(SHAPES.length - 1),
    length: fc.integer({ min: 1, max: 14 }),
    seed: fc.nat(1e6),
    maxRows: fc.constantFrom(1, 20, 1000),
    rows: fc.constantFrom(1, 3, 256),
    shareBiasFrom: fc.constantFrom(1, 1000),
    mergeFrom: fc.constantFrom(1, 3, 1000),
    endOnly: fc.boolean(),
  })
  .chain((base) => {
    const sizes = SHAPES[base.shape] as RandomSizes;
    return fc.record({
      shape: fc.constant(base.shape),
      length: fc.constant(base.length),
      seed: fc.constant(base.seed),
      maxRows: fc.constant(base.maxRows),
      rows: fc.constant(base.rows),
      shareBiasFrom: fc.constant(base.shareBiasFrom),
      mergeFrom: fc.constant(base.mergeFrom),
      endOnly: fc.constant(base.endOnly),
      branches: fc.oneof(
        fc.array(
          fc
            .array(intervention(base.length, sizes), { minLength: 0, maxLength: 3 })
            .map((interventions) => ({ interventions })),
          { minLength: 1, maxLength: 6 },
        ),
        relatives(base.length, sizes),
        sweeps(base.length, sizes),
      ),
    });
  });

/** On several axes positions repeat and go back, as those of a video do. */
export function positionsOf(model: OpenModel, made: PassCase): Positions | undefined {
  const { axes } = model.spec.decoder.rope;
  const { next } = new Noise(made.seed);
  return axes?.map(() => Array.from({ length: made.length }, () => Math.floor(next() * 20)));
}

/** Opens a random model of each shape that `passCases` draws from. */
export async function openShapes(folder: string): Promise<OpenModel[]> {
  const models: OpenModel[] = [];
  for (const sizes of SHAPES) {
    const spec = await readModelSpec(await randomCheckpoint(folder, sizes));
    const rope = sizes === SHAPES.at(-1) ? { ...spec.decoder.rope, axes: AXES } : spec.decoder.rope;
    const layers =
      sizes === SHAPES.at(-2)
        ? spec.decoder.layers.map((layer, i) => ({ ...layer, window: WINDOWS[i] }))
        : spec.decoder.layers;
    const decoder = { ...spec.decoder, rope, layers };
    models.push(await OpenModel.open({ ...spec, decoder }, SETTINGS));
  }
  return models;
}
