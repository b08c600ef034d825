import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { Noise, randomCheckpoint, TINY } from "../support/random-checkpoint.ts";

const SETTINGS = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;
const SIZES = { ...TINY, hidden: 24, headDim: 6 } as const;
const IMAGE = 16;
const TOKENS = [1, 7, 5];

/** A number of two types that is not finite, as bits, and what it is called. */
const VALUES = {
  NaN: { F32: 0x7fc00001, BF16: 0x7fc1, said: "NaN" },
  "an infinity": { F32: 0xff800000, BF16: 0xff80, said: "an infinity" },
} as const;

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "flowprobe-not-finite-"));
});
after(() => rmSync(root, { recursive: true }));

/** A copy of a random checkpoint, one number of one tensor overwritten. */
async function damaged(
  dtype: "F32" | "BF16",
  tensor: string,
  index: number,
  bits: number,
): Promise<string> {
  const folder = await randomCheckpoint(root, { ...SIZES, dtype });
  const copy = mkdtempSync(join(root, "copy-"));
  cpSync(folder, copy, { recursive: true });
  const path = join(copy, "model.safetensors");
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  const at = 8 + length + header[tensor].data_offsets[0];
  if (dtype === "F32") bytes.writeUInt32LE(bits, at + 4 * index);
  else bytes.writeUInt16LE(bits, at + 2 * index);
  writeFileSync(path, bytes);
  return copy;
}

/** What an analysis does: features, embeddings, layers, and readings at the end. */
async function analyze(folder: string, unembedding: "head" | "embedding"): Promise<void> {
  const model = await OpenModel.open(await readModelSpec(folder), SETTINGS);
  try {
    const pixels = new Noise(1).draw(3 * IMAGE * IMAGE, 1);
    await model.videoTokens(pixels, 1, () => {});
    const embeddings = await model.embed(TOKENS);
    const request = { maxRows: 10 };
    await runPass(model, embeddings, [], request, async ({ hidden }) => {
      const row = hidden.subarray(0, SIZES.hidden);
      const read = await unembed(model, row, [true], {
        k: 3,
        chosen: Int32Array.of(2),
        unembedding,
      });
      assert.ok(read.top.every(Number.isFinite));
    });
  } finally {
    await model.release();
  }
}

const PLACES = {
  "language_model.lm_head.weight": { shape: [20, 24], what: "the logits are" },
  "language_model.model.norm.weight": { shape: [24], what: "the logits are" },
  "language_model.model.embed_tokens.weight": { shape: [20, 24], what: "embeddings are" },
  "language_model.model.layers.0.self_attn.k_proj.weight": {
    shape: [12, 24],
    what: "after decoder layer 1 the residual stream is",
  },
  "language_model.model.layers.1.mlp.down_proj.weight": {
    shape: [24, 24],
    what: "after decoder layer 2 the residual stream is",
  },
  "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias": {
    shape: [24],
    what: "features are",
  },
  "vision_tower.vision_model.embeddings.position_embedding.weight": {
    shape: [17, 16],
    what: "features are",
  },
  "multi_modal_projector.linear_2.weight": { shape: [24, 24], what: "features are" },
} as const;

describe("numbers that are not finite", () => {
  for (const [tensor, { shape, what }] of Object.entries(PLACES)) {
    test(`are refused by the tensor's name: ${tensor.split(".").slice(-3).join(".")}`, async () => {
      for (const dtype of ["F32", "BF16"] as const) {
        for (const value of Object.values(VALUES)) {
          const width = shape.at(-1) ?? 1;
          const index = shape.length === 1 ? 3 : 7 * width + 2;
          const folder = await damaged(dtype, tensor, index, value[dtype]);
          await assert.rejects(analyze(folder, "head"), (error) => {
            assert.ok(error instanceof ModelError);
            const place = shape.length === 1 ? "3" : "7, 2";
            const said = `tensor "${tensor}" holds ${value.said} at [${place}]`;
            assert.ok(error.message.includes(said), error.message);
            assert.ok(error.message.includes(`${what} not finite`), error.message);
            return true;
          });
        }
      }
    });
  }

  test("in the embeddings are refused where those are read as the head", async () => {
    const tensor = "language_model.model.embed_tokens.weight";
    const folder = await damaged("F32", tensor, 19 * SIZES.hidden, VALUES.NaN.F32);
    await analyze(folder, "head");
    await assert.rejects(
      analyze(folder, "embedding"),
      /embed_tokens.weight" holds NaN at \[19, 0\]/,
    );
  });

  test("leave a sound checkpoint alone", async () => {
    await analyze(await randomCheckpoint(root, { ...SIZES, dtype: "BF16" }), "embedding");
  });
});
