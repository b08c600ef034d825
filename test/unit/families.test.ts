import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { tokenGrid, trailingTokens } from "../../src/engine/families/shared/spec.ts";
import { editConfig, editHeader, withSection } from "../support/checkpoint-edits.ts";
import { randomCheckpoint, TINY } from "../support/random-checkpoint.ts";
import { assertRefused } from "../support/refused.ts";

describe("reading a LLaVA-family checkpoint", () => {
  let root: string;
  let original: string;
  let folder: string;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), "flowprobe-family-"));
    original = await randomCheckpoint(root, TINY);
    folder = join(root, "copy");
  });
  beforeEach(() => {
    rmSync(folder, { recursive: true, force: true });
    cpSync(original, folder, { recursive: true });
  });
  after(() => rmSync(root, { recursive: true }));

  /** The refusal must name the file and everything listed. */
  const refused = (...named: string[]) => assertRefused(folder, folder, ...named);

  test("gives sizes, and an image-only base with a small grid keeps every token", async () => {
    const spec = await readModelSpec(folder);
    assert.equal(spec.decoder.layers.length, 2);
    assert.equal(spec.decoder.kvHeads, 2);
    assert.equal(spec.vision.layers.length, 1, "layer -2 of 2 needs the first layer only");
    assert.deepEqual(tokenGrid(spec, 8), { frames: 8, rows: 4, columns: 4 });
  });

  test("an image-only base with CLIP's grid is pooled as in the paper, whatever the clip's frames", async () => {
    const picture = { image: 336, patch: 14 };
    const spec = await readModelSpec(await randomCheckpoint(root, { ...TINY, picture }));
    assert.equal(spec.frames, 8);
    assert.deepEqual(tokenGrid(spec, 8), { frames: 8, rows: 12, columns: 12 });
    assert.deepEqual(tokenGrid(spec, 5), { frames: 5, rows: 12, columns: 12 });
  });

  test("an unknown family is refused by its name, and the supported ones are listed", async () => {
    editConfig(folder, (config) => ({ ...config, model_type: "video_gpt" }));
    await refused("model_type", "video_gpt", "llava");
  });

  test("a decoder of another design is refused, and the known ones are listed", async () => {
    editConfig(folder, (config) => withSection(config, "text_config", { model_type: "mamba" }));
    await refused("text_config.model_type", "mamba", "qwen2");
  });

  test("another vision tower than CLIP is refused", async () => {
    editConfig(folder, (config) => withSection(config, "vision_config", { model_type: "siglip" }));
    await refused("vision_config.model_type", "siglip");
  });

  test("a quantized checkpoint is refused, with what would work", async () => {
    editConfig(folder, (config) => ({ ...config, quantization_config: { quant_method: "awq" } }));
    await refused("quantization_config", "awq", "unquantized");
  });

  test("an unknown rope scaling is refused", async () => {
    const scaling = { rope_type: "proportional", factor: 4 };
    editConfig(folder, (config) => withSection(config, "text_config", { rope_scaling: scaling }));
    await refused("rope_scaling.rope_type", "proportional");
  });

  test("heads that are not a multiple of the key heads are refused", async () => {
    editConfig(folder, (config) => withSection(config, "text_config", { num_key_value_heads: 3 }));
    await refused("num_key_value_heads", "3");
  });

  test("a size that is no number is refused", async () => {
    editConfig(folder, (config) => withSection(config, "text_config", { hidden_size: "16" }));
    await refused("text_config.hidden_size", '"16"');
  });

  test("several vision layers, or one the tower does not have, are refused", async () => {
    editConfig(folder, (config) => ({ ...config, vision_feature_layer: [-2, -5] }));
    await refused("vision_feature_layer", "[-2,-5]");
    editConfig(folder, (config) => ({ ...config, vision_feature_layer: -9 }));
    await refused("vision_feature_layer", "-9");
  });

  test("a missing tensor is named", async () => {
    const name = "language_model.model.layers.1.mlp.up_proj.weight";
    editHeader(folder, (header) => {
      delete header[name];
    });
    await refused(name);
  });

  test("a missing head is named when the embeddings are not tied", async () => {
    editHeader(folder, (header) => {
      delete header["language_model.lm_head.weight"];
    });
    await refused("lm_head.weight");
    editConfig(folder, (config) => ({ ...config, tie_word_embeddings: true }));
    const spec = await readModelSpec(folder);
    assert.equal(spec.decoder.head, spec.decoder.embedding);
  });

  test("a tensor of another shape is refused with both shapes", async () => {
    editConfig(folder, (config) => withSection(config, "text_config", { intermediate_size: 32 }));
    await refused("gate_proj", "[24, 16]", "[32, 16]");
  });

  test("a tensor of a type that cannot be computed with is refused", async () => {
    const name = "language_model.model.norm.weight";
    editHeader(folder, (header) => {
      header[name] = { ...header[name], dtype: "I32" };
    });
    await refused(name, "I32", "BF16");
  });

  test("a config that is not JSON, or is missing, is named", async () => {
    writeFileSync(join(folder, "config.json"), "{");
    await refused("config.json", "not JSON");
    rmSync(join(folder, "config.json"));
    await refused("config.json", "missing");
  });
});

/** A setting that must be refused, in a copy of a parity case's checkpoint. */
interface Refusal {
  readonly model: string;
  readonly what: string;
  readonly change: (config: Record<string, unknown>) => Record<string, unknown>;
  readonly named: readonly string[];
}

const REFUSALS: readonly Refusal[] = [
  {
    model: "h-next-video",
    what: "pooling by a convolution",
    change: (config) => ({ ...config, spatial_pool_mode: "conv" }),
    named: ["spatial_pool_mode", "conv", "average"],
  },
  {
    model: "h-next-video",
    what: "pooling that a class token would upset",
    change: (config) => ({ ...config, vision_feature_select_strategy: "full" }),
    named: ["vision_feature_select_strategy", "full", "default"],
  },
  {
    model: "i-onevision",
    what: "a window for some layers, without its length",
    change: (config) =>
      withSection(config, "text_config", {
        layer_types: ["full_attention", "sliding_attention", "full_attention"],
      }),
    named: ["text_config.layer_types", "sliding_window"],
  },
  {
    model: "i-onevision",
    what: "a first token that is dropped although it is a patch",
    change: (config) => ({ ...config, vision_feature_select_strategy: "default" }),
    named: ["vision_feature_select_strategy", "default", "full"],
  },
  {
    model: "i-onevision",
    what: "another tower than SigLIP",
    change: (config) => withSection(config, "vision_config", { model_type: "siglip2" }),
    named: ["vision_config.model_type", "siglip2", "siglip_vision_model"],
  },
  {
    model: "j-internvl",
    what: "another norm in the tower",
    change: (config) => withSection(config, "vision_config", { norm_type: "group_norm" }),
    named: ["vision_config.norm_type", "group_norm", "rms_norm"],
  },
  {
    model: "j-internvl",
    what: "a shuffle that leaves patches over",
    change: (config) => ({ ...config, downsample_ratio: 0.25 }),
    named: ["downsample_ratio", "0.25", "6 patches"],
  },
  {
    model: "j-internvl",
    what: "a picture that is no square",
    change: (config) => withSection(config, "vision_config", { image_size: [24, 32] }),
    named: ["vision_config.image_size", "[24,32]"],
  },
  {
    model: "k-smolvlm",
    what: "a shuffle that leaves patches over",
    change: (config) => ({ ...config, scale_factor: 4 }),
    named: ["scale_factor", "4", "6 patches"],
  },
];

for (const { model, what, change, named } of REFUSALS) {
  test(`${model}: ${what} is refused with key and value`, async (t) => {
    const root = mkdtempSync(join(tmpdir(), "flowprobe-refusal-"));
    t.after(() => rmSync(root, { recursive: true }));
    const original = join(import.meta.dirname, "..", "parity", "fixtures", model);
    cpSync(original, root, { recursive: true });
    await readModelSpec(root);
    editConfig(root, change);
    await assert.rejects(readModelSpec(root), (error: unknown) => {
      assert.ok(error instanceof ModelError, `${error} is a ModelError`);
      for (const part of ["config.json", ...named]) {
        assert.ok(error.message.includes(part), `"${error.message}" names ${part}`);
      }
      return true;
    });
  });
}

test("i-onevision: heads told to be tied in text_config alone are tied, and the newline counts", async () => {
  const folder = join(import.meta.dirname, "..", "parity", "fixtures", "i-onevision");
  const spec = await readModelSpec(folder);
  assert.equal(spec.decoder.head, spec.decoder.embedding);
  assert.deepEqual(tokenGrid(spec, 5), { frames: 5, rows: 3, columns: 3 });
  assert.equal(trailingTokens(spec), 1);
});

test("an answer ends where the library's own generation does: generation_config.json goes first", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "flowprobe-ends-"));
  t.after(() => rmSync(root, { recursive: true }));
  cpSync(join(import.meta.dirname, "..", "parity", "fixtures", "i-onevision"), root, {
    recursive: true,
  });
  assert.deepEqual((await readModelSpec(root)).endTokenIds, [151_645]);
  editConfig(root, (config) => withSection(config, "text_config", { eos_token_id: 0 }));
  assert.deepEqual((await readModelSpec(root)).endTokenIds, [0]);
  const file = join(root, "generation_config.json");
  writeFileSync(file, JSON.stringify({ eos_token_id: [2, 0] }));
  assert.deepEqual((await readModelSpec(root)).endTokenIds, [2, 0]);
  writeFileSync(file, JSON.stringify({ do_sample: false }));
  assert.deepEqual((await readModelSpec(root)).endTokenIds, [0]);
  writeFileSync(file, JSON.stringify({ eos_token_id: "</s>" }));
  await assert.rejects(readModelSpec(root), /generation_config\.json: "eos_token_id" is "<\/s>"/);
});
