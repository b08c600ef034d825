import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { readModelFiles } from "../../src/engine/model-files.ts";
import { modelNotices } from "../../src/engine/notices.ts";
import { editConfig, editHeader, withSection } from "../support/checkpoint-edits.ts";
import { randomCheckpoint, TINY } from "../support/random-checkpoint.ts";

/*
 * Which of a folder's files and settings count where several could: as in transformers 5.18, whose
 * answers the expectations are, or a refusal.
 */

const FIXTURES = join(import.meta.dirname, "..", "parity", "fixtures");
const HEAD = "language_model.lm_head.weight";

let root: string;
let original: string;
let folder: string;
before(async () => {
  root = mkdtempSync(join(tmpdir(), "flowprobe-resolution-"));
  original = await randomCheckpoint(root, TINY);
  folder = join(root, "copy");
});
beforeEach(() => copyOf(original));
after(() => rmSync(root, { recursive: true }));

function copyOf(checkpoint: string): void {
  rmSync(folder, { recursive: true, force: true });
  cpSync(checkpoint, folder, { recursive: true });
}

function rejects(work: Promise<unknown>, ...named: (string | RegExp)[]): Promise<void> {
  return assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof ModelError, String(error));
    for (const part of named) assert.match(error.message, new RegExp(part));
    return true;
  });
}

const text = (keys: Record<string, unknown>) =>
  editConfig(folder, (config) => withSection(config, "text_config", keys));

test("one file beside an index wins, and says so", async () => {
  const index = { weight_map: { [HEAD]: "model-00001-of-00002.safetensors" } };
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
  const spec = await readModelSpec(folder);
  assert.equal(spec.decoder.head.file, join(folder, "model.safetensors"));
  assert.match(spec.notices.join(), /index\.json is ignored/);
});

test("a tensor in two shards is refused", async () => {
  copyOf(join(FIXTURES, "b-gqa-sharded"));
  const shard = "model-00001-of-00003.safetensors";
  cpSync(join(folder, shard), join(folder, "again.safetensors"));
  const file = join(folder, "model.safetensors.index.json");
  const { weight_map } = JSON.parse(readFileSync(file, "utf8"));
  const [moved] = Object.keys(weight_map).filter((name) => weight_map[name] === shard);
  assert.ok(moved !== undefined);
  writeFileSync(
    file,
    JSON.stringify({ weight_map: { ...weight_map, [moved]: "again.safetensors" } }),
  );
  await rejects(readModelSpec(folder), "is in .*again.safetensors and in .*00001-of-00003");
});

test("a head said to be tied but stored otherwise is used", async () => {
  editConfig(folder, (config) => ({ ...config, tie_word_embeddings: true }));
  const spec = await readModelSpec(folder);
  assert.equal(spec.decoder.head.name, HEAD);
  assert.match(spec.notices.join(), /differs from the embeddings: they are not tied/);
});

test("a tied head stored with the embeddings' values says nothing", async () => {
  editConfig(folder, (config) => ({ ...config, tie_word_embeddings: true }));
  const { head, embedding } = (await readModelSpec(folder)).decoder;
  const bytes = readFileSync(head.file);
  bytes.copy(bytes, head.offset, embedding.offset, embedding.offset + embedding.length);
  writeFileSync(head.file, bytes);
  assert.deepEqual((await readModelSpec(folder)).notices, []);
});

test("LoRA tensors among the weights are named as such", async () => {
  editHeader(folder, (header) => {
    const name = "language_model.model.layers.0.self_attn.q_proj";
    const entry = header[`${name}.weight`];
    assert.ok(entry !== undefined);
    delete header[`${name}.weight`];
    header[`${name}.lora_A.default.weight`] = entry;
  });
  await rejects(readModelSpec(folder), "an adapter's", "lora_A", "merge_and_unload");
});

test("biases that the class has not are left out, and noted", async () => {
  copyOf(join(FIXTURES, "g-linear-bias"));
  const biased = await readModelSpec(folder);
  assert.ok(biased.decoder.layers.every(({ query, gate }) => query.bias && gate.bias));
  assert.deepEqual(biased.notices, []);
  text({ attention_bias: false, mlp_bias: false });
  const { decoder, notices } = await readModelSpec(folder);
  assert.ok(decoder.layers.every(({ query, gate }) => !query.bias && !gate.bias));
  assert.match(notices.join(), /layers\.N\.self_attn\.q_proj\.bias is not used/);
  copyOf(original);
  text({ attention_bias: true });
  await rejects(readModelSpec(folder), "q_proj.bias");
});

test("null key heads are as many as heads", async () => {
  text({ num_key_value_heads: null });
  await rejects(readModelSpec(folder), "k_proj", "\\[12, 16\\]", "asks for \\[24, 16\\]");
});

test("rope_scaling goes before rope_parameters", async () => {
  text({
    rope_scaling: { rope_type: "linear", factor: 2 },
    rope_parameters: { rope_type: "default", rope_theta: 10_000 },
  });
  const { rope } = (await readModelSpec(folder)).decoder;
  assert.equal(rope.inverseFrequencies[0], 0.5);
});

test("a prompt beyond the trained length is told", async () => {
  text({ max_position_embeddings: 100 });
  const spec = await readModelSpec(folder);
  assert.deepEqual(modelNotices(spec, 100), []);
  assert.match(modelNotices(spec, 101).join(), /101 tokens, more than the 100/);
});

test("a processor of another size is refused", async () => {
  for (const crop_size of [
    { height: 15, width: 60 },
    { height: 28, width: 28 },
  ]) {
    copyOf(join(FIXTURES, "g-linear-bias"));
    const file = join(folder, "preprocessor_config.json");
    const processor = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...processor, crop_size }));
    const size = `${crop_size.width} x ${crop_size.height} pixels`;
    await rejects(readModelFiles(folder), size, "takes 30 x 30");
  }
});

test("a processor of other patches is refused", async () => {
  for (const [key, value] of [
    ["patch_size", 1000],
    ["merge_size", 1000],
  ] as const) {
    copyOf(join(FIXTURES, "m-qwen2-5-vl"));
    const file = join(folder, "preprocessor_config.json");
    const processor = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...processor, [key]: value }));
    await rejects(
      readModelFiles(folder),
      "the processor cuts frames",
      "but the model into 4 and 8",
    );
  }
});

/** Numbers that a damaged file can hold, and the key that must be named. */
const NUMBERS: readonly [
  model: string,
  section: string | undefined,
  key: string,
  value: unknown,
][] = [
  ["h-next-video", "text_config", "head_dim", 400_000_000],
  ["h-next-video", "text_config", "head_dim", 4_000_000_000],
  ["h-next-video", "text_config", "num_hidden_layers", 1_000_000],
  ["h-next-video", "text_config", "num_hidden_layers", 5_000_000_000],
  ["h-next-video", "text_config", "rms_norm_eps", -1],
  ["h-next-video", "text_config", "rope_theta", 0],
  ["h-next-video", "text_config", "max_position_embeddings", 1e12],
  ["h-next-video", "vision_config", "num_hidden_layers", 1_000_000_000],
  ["h-next-video", undefined, "spatial_pool_stride", 1_000_000],
  ["h-next-video", undefined, "video_token_index", 1e12],
  ["g-linear-bias", undefined, "pooling_shape", [1, 2_147_483_648, 2]],
  [
    "m-qwen2-5-vl",
    undefined,
    "rope_scaling",
    { type: "mrope", mrope_section: [3, 300_000_000, 2] },
  ],
  ["m-qwen2-5-vl", "vision_config", "tokens_per_second", 1e300],
  ["m-qwen2-5-vl", "vision_config", "depth", 1_000_000],
  ["l-mini-internvl", undefined, "downsample_ratio", 1e-9],
];

for (const [model, section, key, value] of NUMBERS) {
  test(`${model}: ${key} ${JSON.stringify(value)} is refused`, async () => {
    copyOf(join(FIXTURES, model));
    editConfig(folder, (config) =>
      section === undefined
        ? { ...config, [key]: value }
        : withSection(config, section, { [key]: value }),
    );
    await rejects(readModelSpec(folder), "config.json", key);
  });
}

test("numbers of a processor file are bounded", async () => {
  for (const [model, key, value] of [
    ["g-linear-bias", "crop_size", { height: 1e12, width: 30 }],
    ["g-linear-bias", "size", { shortest_edge: 1e9 }],
    ["m-qwen2-5-vl", "min_pixels", 4_294_967_296],
    ["m-qwen2-5-vl", "max_frames", 1e9],
    ["n-videollama3", "max_tokens", 1e9],
  ] as const) {
    copyOf(join(FIXTURES, model));
    const file = join(folder, "preprocessor_config.json");
    const processor = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...processor, [key]: value }));
    await rejects(readModelFiles(folder), "preprocessor_config.json");
  }
});

/** Of each layer, how far its rows look back. */
const windowsOf = async () =>
  (await readModelSpec(folder)).decoder.layers.map(({ window }) => window);

test("windows follow each class's own rule", async () => {
  text({ use_sliding_window: true, sliding_window: 4 });
  assert.deepEqual(await windowsOf(), [undefined, undefined], "Llama has none");
  text({ model_type: "mistral" });
  assert.deepEqual(await windowsOf(), [4, 4]);
  text({ sliding_window: null });
  assert.deepEqual(await windowsOf(), [undefined, undefined]);
  text({ sliding_window: undefined });
  assert.deepEqual(await windowsOf(), [4096, 4096], "the class's own");
  copyOf(join(FIXTURES, "i-onevision"));
  text({ use_sliding_window: true, sliding_window: 4, max_window_layers: 2 });
  assert.deepEqual(await windowsOf(), [undefined, undefined, 4]);
  text({ max_window_layers: 1, use_sliding_window: false });
  assert.deepEqual(await windowsOf(), [undefined, undefined, undefined]);
});

test("rotations by kind of layer are refused", async () => {
  text({ rope_scaling: undefined, rope_parameters: { full_attention: { rope_theta: 10_000 } } });
  await rejects(readModelSpec(folder), "rope_parameters.full_attention");
});

test("LLaVA's original layout is named", async () => {
  editConfig(folder, ({ vision_config: _, ...config }) => ({
    ...config,
    mm_vision_tower: "openai/clip-vit-large-patch14-336",
  }));
  await rejects(readModelSpec(folder), "mm_vision_tower", "LLaVA's own code", "-hf");
});

test("a projector said to have biases must have them", async () => {
  copyOf(join(FIXTURES, "g-llama3-full"));
  editConfig(folder, (config) => ({ ...config, multimodal_projector_bias: true }));
  await rejects(readModelSpec(folder), "linear_1.bias");
});
