import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { layerNorm, rmsNorm, rowSums } from "../../src/engine/graph/blocks.ts";
import { Graph } from "../../src/engine/graph/onnx.ts";
import { floats, floatsOf, Session } from "../../src/engine/runtime/session.ts";
import { Noise } from "../support/random-checkpoint.ts";

const OPTIONS = { provider: "cpu", threads: 1, keepWidened: false } as const;
const ROWS = 5;
const EPS = 1e-5;
/** Largest error as a share of the row's largest value. */
const TOLERANCE = 1e-6;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "flowprobe-norms-"));
});
after(() => rmSync(folder, { recursive: true }));

/** Rows as trained models have them: even ones, one with a massive activation, one far from zero. */
function rowsOf(width: number): Float32Array {
  const rows = new Noise(width).draw(ROWS * width, 0.2);
  for (let row = 1; row < 4; row++) rows[row * width + 3] = [0, 150, 1_500, 10_000][row] ?? 0;
  for (let i = 4 * width; i < 5 * width; i++) rows[i] = (rows[i] ?? 0) + 2;
  return rows;
}

for (const width of [20, 96, 1_152, 4_096, 8_191]) {
  test(`norms of width ${width} are float64's`, async () => {
    const weights = new Noise(3).draw(2 * width, 0.3, 1);
    const file = join(folder, `w${width}`);
    writeFileSync(file, weights);
    const tensor = (name: string, first: number) => ({
      name,
      dtype: "F32",
      shape: [width],
      offset: 4 * first,
      length: 4 * width,
      file,
    });
    const scale = tensor("scale", 0);
    const g = new Graph(folder);
    const x = g.input("x", ["n", width]);
    g.output("rms", rmsNorm(g, x, scale, EPS), ["n", width]);
    const norm = { weight: scale, bias: tensor("bias", width) };
    g.output("layer", layerNorm(g, x, norm, EPS), ["n", width]);
    g.output("sums", rowSums(g, x, width), ["n", 1]);
    const session = await Session.open(g.encode(), folder, OPTIONS);
    const rows = rowsOf(width);
    const found = await session.run({ x: floats(rows, [ROWS, width]) });
    for (let row = 0; row < ROWS; row++) {
      const values = Float64Array.from(rows.subarray(row * width, (row + 1) * width));
      const sum = values.reduce((a, b) => a + b, 0);
      const magnitude = values.reduce((a, b) => a + Math.abs(b), 0);
      assert.ok(Math.abs((floatsOf(found, "sums")[row] ?? 0) - sum) <= TOLERANCE * magnitude);
      const over = (shifted: Float64Array) => {
        const square = shifted.reduce((a, b) => a + b * b, 0) / width;
        return shifted.map((value, i) => (value / Math.sqrt(square + EPS)) * (weights[i] ?? 0));
      };
      const expected = {
        rms: over(values),
        layer: over(values.map((value) => value - sum / width)).map(
          (value, i) => value + (weights[width + i] ?? 0),
        ),
      };
      for (const name of ["rms", "layer"] as const) {
        const mine = floatsOf(found, name).subarray(row * width, (row + 1) * width);
        const most = expected[name].reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        expected[name].forEach((value, i) => {
          const error = Math.abs((mine[i] ?? Number.NaN) - value) / most;
          assert.ok(error <= TOLERANCE, `${name}, row ${row}: ${error}`);
        });
      }
    }
    await session.release();
  });
}
