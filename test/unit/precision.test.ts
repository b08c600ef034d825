import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import onnxProto from "onnx-proto";
import { ModelError } from "../../src/common/errors.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { projectionGraph, residualGraph } from "../../src/engine/graph/decoder.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { choosePrecision } from "../../src/engine/runtime/provider.ts";
import { floats, floatsOf, Session } from "../../src/engine/runtime/session.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { Noise, randomCheckpoint } from "../support/random-checkpoint.ts";

const SETTINGS = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;
const OPTIONS = { provider: "cpu", threads: 1, keepWidened: false } as const;
/** Element types as ONNX numbers them. */
const [FLOAT32, FLOAT16] = [1, 10];
/** Half precision has 11 significant bits. */
const HALF_ERROR = 5e-3;
const SIZES = {
  hidden: 32,
  inner: 48,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  vocab: 50,
  dtype: "BF16",
  seed: 9,
} as const;

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "flowprobe-precision-"));
});
after(() => rmSync(root, { recursive: true }));

/** Element types by the names of a graph's values that are initializers or come from a `Cast`. */
function elementTypes(graph: onnxProto.onnx.IGraphProto): Map<string, number> {
  const casts = (graph.node ?? []).filter(({ opType }) => opType === "Cast");
  return new Map([
    ...(graph.initializer ?? []).map(({ name, dataType }) => [name ?? "", dataType ?? 0] as const),
    ...casts.map(
      ({ output, attribute }) => [output?.[0] ?? "", Number(attribute?.[0]?.i)] as const,
    ),
  ]);
}

test("in float16 every product of a layer takes halves and gives float32 on", async () => {
  for (const dtype of ["BF16", "F32"] as const) {
    const spec = await readModelSpec(await randomCheckpoint(root, { ...SIZES, dtype }));
    const layer = spec.decoder.layers[1];
    assert.ok(layer !== undefined);
    const graphs = { projection: projectionGraph, residual: residualGraph };
    for (const [name, build] of Object.entries(graphs)) {
      const bytes = build(spec.root, spec.decoder, layer, { precision: "float16" });
      const { graph } = onnxProto.onnx.ModelProto.decode(bytes);
      assert.ok(graph !== null && graph !== undefined);
      const types = elementTypes(graph);
      const nodes: onnxProto.onnx.INodeProto[] = graph.node ?? [];
      const products = nodes.filter(({ opType }) => opType === "Gemm");
      assert.equal(products.length, name === "projection" ? 3 : 4);
      for (const { input, output } of products) {
        const given = (input ?? []).map((value) => types.get(value));
        assert.deepEqual(given, [FLOAT16, FLOAT16], `${dtype} ${name}`);
        const readers: onnxProto.onnx.INodeProto[] = nodes.filter((node) =>
          node.input?.includes(output?.[0] ?? ""),
        );
        assert.deepEqual(
          readers.map((node) => types.get(node.output?.[0] ?? "")),
          [FLOAT32],
        );
      }
      // The CPU widens halves again, so the graph runs here and gives float32's numbers, to rounding.
      const rows = 5;
      const { hiddenSize, heads, headDim } = spec.decoder;
      const noise = new Noise(3);
      const tensor = (...dims: number[]) =>
        floats(
          noise.draw(
            dims.reduce((a, b) => a * b, 1),
            1,
          ),
          dims,
        );
      const inputs =
        name === "projection"
          ? {
              x: tensor(rows, hiddenSize),
              cos: tensor(rows, 1, headDim),
              sin: tensor(rows, 1, headDim),
            }
          : { x: tensor(rows, hiddenSize), context: tensor(rows, heads * headDim) };
      const output = name === "projection" ? "q" : "y";
      const [full, half] = await Promise.all(
        (["float32", "float16"] as const).map(async (precision) => {
          const made = build(spec.root, spec.decoder, layer, { precision });
          const session = await Session.open(made, spec.root, OPTIONS);
          const found = floatsOf(await session.run(inputs), output).slice();
          await session.release();
          return found;
        }),
      );
      assert.ok(full !== undefined && half !== undefined);
      const scale = full.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      full.forEach((value, i) => {
        assert.ok(Math.abs(value - (half[i] ?? Number.NaN)) < HALF_ERROR * scale);
      });
    }
  }
});

test("a layer whose numbers are not finite is refused by its number", async () => {
  const folder = await randomCheckpoint(root, { ...SIZES, dtype: "F32", seed: 10 });
  const path = join(folder, "model.safetensors");
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  const norm = "language_model.model.layers.1.post_attention_layernorm.weight";
  bytes.writeFloatLE(Number.NaN, 8 + length + header[norm].data_offsets[0]);
  writeFileSync(path, bytes);
  const model = await OpenModel.open(await readModelSpec(folder), SETTINGS);
  try {
    const embeddings = new Noise(4).draw(3 * SIZES.hidden, 1);
    const layers: number[] = [];
    await assert.rejects(
      runPass(model, embeddings, [], { maxRows: 10 }, async ({ layer }) => {
        layers.push(layer);
      }),
      (error) => {
        assert.ok(error instanceof ModelError);
        assert.match(error.message, /after decoder layer 2 the residual stream is not finite/);
        return true;
      },
    );
    assert.deepEqual(layers, [0], "what was found before stays");
  } finally {
    await model.release();
  }
});

test("the provider decides what products are computed in, unless it is chosen", () => {
  assert.equal(choosePrecision("auto", "cpu", "BF16"), "float32");
  assert.equal(choosePrecision("auto", "cuda", "BF16"), "float16");
  assert.equal(choosePrecision("auto", "dml", "F16"), "float16");
  assert.equal(choosePrecision("auto", "cuda", "F32"), "float32");
  assert.equal(choosePrecision("float32", "cuda", "F16"), "float32");
  assert.equal(choosePrecision("float16", "webgpu", "F32"), "float16");
  assert.equal(choosePrecision("float16", "cpu", "F16"), "float32", "the CPU has no such products");
});
