import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { gated, linear } from "../../src/engine/graph/blocks.ts";
import { Graph, type Products, WHOLE } from "../../src/engine/graph/onnx.ts";
import { chooseBlockBytes } from "../../src/engine/runtime/block-size.ts";
import { floats, floatsOf, Session } from "../../src/engine/runtime/session.ts";
import { Noise } from "../support/random-checkpoint.ts";
import { toHalf } from "../support/to-half.ts";

const OPTIONS = { provider: "cpu", threads: 2, keepWidened: false } as const;
/** Largest difference as a share of the largest result. */
const TOLERANCE = 1e-6;
const MOST = 400;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "flowprobe-blocks-"));
  const noise = new Noise(3).draw(3 * MOST * MOST, 0.1);
  const bits = new Uint32Array(noise.buffer);
  const upper = Uint16Array.from(bits, (value) => value >>> 16);
  for (const [dtype, data] of Object.entries({ F32: noise, F16: toHalf(noise), BF16: upper })) {
    writeFileSync(join(folder, dtype), data);
  }
});
after(() => rmSync(folder, { recursive: true }));

/** A matrix [out, width], or a vector, inside the noise. */
function tensor(name: string, dtype: string, shape: readonly number[], first = 0) {
  const bytes = dtype === "F32" ? 4 : 2;
  const length = shape.reduce((product, extent) => product * extent, bytes);
  return { name, dtype, shape, offset: first * bytes, length, file: join(folder, dtype) };
}

async function run(g: Graph, rows: number, width: number): Promise<Float32Array> {
  const session = await Session.open(g.encode(), folder, OPTIONS);
  const x = floats(new Noise(rows).draw(rows * width, 1), [rows, width]);
  const found = floatsOf(await session.run({ x }), "y");
  await session.release();
  return found;
}

function assertAlike(mine: Float32Array, whole: Float32Array): void {
  assert.equal(mine.length, whole.length);
  const scale = whole.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  whole.forEach((value, i) => {
    assert.ok(Math.abs((mine[i] ?? Number.NaN) - value) <= TOLERANCE * scale);
  });
}

const products = fc.record({
  dtype: fc.constantFrom("BF16", "F16", "F32"),
  rows: fc.integer({ min: 1, max: 70 }),
  width: fc.integer({ min: 1, max: 200 }),
  start: fc.nat(40),
  count: fc.integer({ min: 1, max: 300 }),
  biased: fc.boolean(),
  sliced: fc.boolean(),
  blockBytes: fc.integer({ min: 1, max: 60_000 }),
});

test("a product in blocks is the whole product", async () => {
  await fc.assert(
    fc.asyncProperty(products, async (drawn) => {
      const { dtype, rows, width, start, count, biased, sliced, blockBytes } = drawn;
      const out = sliced ? start + count + 7 : count;
      const weight = tensor("w", dtype, [out, width]);
      const bias = biased ? tensor("b", dtype, [out], MOST * MOST) : undefined;
      const part = sliced ? [{ start, count }] : undefined;
      const found = async (how: Products) => {
        const g = new Graph(folder, how);
        const x = g.input("x", ["n", width]);
        g.output("y", linear(g, x, { weight, rows: part, bias }), ["n", count]);
        return run(g, rows, width);
      };
      assertAlike(await found({ ...WHOLE, blockBytes }), await found(WHOLE));
    }),
    { numRuns: 60, seed: 5 },
  );
});

test("a gated MLP in blocks is the whole one, fused matrices too", async () => {
  for (const [gateDtype, upDtype] of [
    ["BF16", "BF16"],
    ["BF16", "F32"],
  ] as const) {
    for (const fused of [false, true]) {
      const [rows, width, inner] = [9, 50, 130];
      const whole = tensor("gate_up", gateDtype, [2 * inner, width]);
      const gate = fused
        ? { weight: whole, rows: [{ start: 0, count: inner }] }
        : { weight: tensor("gate", gateDtype, [inner, width]) };
      const up = fused
        ? { weight: whole, rows: [{ start: inner, count: inner }] }
        : { weight: tensor("up", upDtype, [inner, width], MOST * MOST) };
      const found = async (how: Products) => {
        const g = new Graph(folder, how);
        const x = g.input("x", ["n", width]);
        g.output("y", gated(g, x, gate, up, "silu"), ["n", inner]);
        return run(g, rows, width);
      };
      assertAlike(await found({ ...WHOLE, blockBytes: 4_000 }), await found(WHOLE));
    }
  }
});

test("blocks are whole rows, each row once, none larger than asked for by much", () => {
  const g = new Graph(folder, { precision: "float32", blockBytes: 4 * 100 * 50 });
  const weight = tensor("w", "BF16", [333, 50]);
  const parts = g.blocks(weight, { start: 10, count: 300 });
  assert.deepEqual(
    parts.flatMap((part) =>
      Array.from({ length: part?.count ?? 0 }, (_, i) => (part?.start ?? 0) + i),
    ),
    Array.from({ length: 300 }, (_, i) => 10 + i),
  );
  assert.ok(parts.length > 2);
  for (const part of parts) assert.ok((part?.count ?? 0) <= 112);
  assert.deepEqual(g.blocks(tensor("w", "F32", [333, 50])), [undefined], "nothing to widen");
  assert.deepEqual(new Graph(folder).blocks(weight), [undefined]);
});

test("the block size is one of some MiB, measured where there is enough to measure", async () => {
  const small = tensor("w", "BF16", [300, 200]);
  assert.equal(await chooseBlockBytes(folder, small, OPTIONS), 16 << 20);
  const file = join(folder, "large");
  writeFileSync(file, Buffer.alloc(2 * 8192 * 2048));
  const large = { ...small, shape: [8192, 2048], length: 2 * 8192 * 2048, file };
  const chosen = await chooseBlockBytes(folder, large, OPTIONS);
  assert.ok([8, 16].includes(chosen / 2 ** 20));
});
