import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { editConfig, editHeader, withSection } from "../support/checkpoint-edits.ts";
import { randomCheckpoint, TINY } from "../support/random-checkpoint.ts";
import { assertRefused } from "../support/refused.ts";

let root: string;
let original: string;
let folder: string;
before(async () => {
  root = mkdtempSync(join(tmpdir(), "flowprobe-refusals-"));
  original = await randomCheckpoint(root, TINY);
  folder = join(root, "copy");
});
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  cpSync(original, folder, { recursive: true });
});
after(() => rmSync(root, { recursive: true }));

/** The refusal must name the folder, what was found, and what would work. */
const refused = (...named: (string | RegExp)[]) => assertRefused(folder, folder, ...named);

/** Makes the folder hold these files alone. */
function only(files: Record<string, string>): void {
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

test("weights that the configuration calls quantized are refused, wherever it says so", async () => {
  editConfig(folder, (config) => ({ ...config, quantization_config: { quant_method: "awq" } }));
  await refused("quantization_config", "awq", /use the unquantized checkpoint/);
  editConfig(folder, ({ quantization_config: _, ...config }) => ({
    ...config,
    quantization: { group_size: 64, bits: 4 },
  }));
  await refused('"quantization"', "bits", /bf16/);
  editConfig(folder, ({ quantization: _, ...config }) =>
    withSection(config, "text_config", { quantization_config: { quant_method: "gptq" } }),
  );
  await refused("text_config.quantization_config", "gptq");
});

test("quantized weights are refused by their tensors and by their tool's file, too", async () => {
  editHeader(folder, (header) => {
    const name = "language_model.model.layers.0.mlp.up_proj";
    const entry = header[`${name}.weight`];
    assert.ok(entry !== undefined);
    delete header[`${name}.weight`];
    header[`${name}.qweight`] = entry;
  });
  await refused("up_proj.qweight", /quantized/);
  writeFileSync(join(folder, "quantize_config.json"), "{}");
  await refused("quantize_config.json", /use the unquantized checkpoint/);
});

test("a folder with only an adapter is refused as one, though it has no config.json", async () => {
  only({ "adapter_config.json": "{}", "adapter_model.safetensors": "" });
  await refused("only an adapter", "merge_and_unload");
});

test("pickled weights are refused unread, with or without a configuration", async () => {
  // A pickle that would write a file, were it ever loaded.
  const mark = join(root, "was-run");
  const pickle = `cos\nsystem\n(S'touch ${mark}'\ntR.`;
  only({ "pytorch_model.bin": pickle });
  await refused("pytorch_model.bin", "pickled", "safetensors", "save_pretrained");
  cpSync(join(original, "config.json"), join(folder, "config.json"));
  await refused("pytorch_model.bin", "pickled");
  assert.throws(() => cpSync(mark, join(root, "x")), /ENOENT/);
});

test("weights of other programs are named", async () => {
  only({ "model-Q4_K_M.gguf": "" });
  await refused("model-Q4_K_M.gguf", "llama.cpp", "safetensors checkpoint");
  only({ "config.json": "{}", "model.onnx": "" });
  editConfig(folder, () => ({ model_type: "llava" }));
  await refused("model.onnx", "another program");
});

test("a family that is code in the checkpoint is refused with that file's name and what would work", async () => {
  editConfig(folder, (config) => ({
    ...config,
    model_type: "video_gpt",
    auto_map: { AutoConfig: "configuration_vg.C", AutoModelForCausalLM: "modeling_vg.VideoGpt" },
  }));
  await refused(
    "video_gpt",
    "modeling_vg.py",
    "trust_remote_code",
    "nothing from a checkpoint is ever run",
    "llava-hf/LLaVA-NeXT-Video-7B-hf",
  );
  editConfig(folder, (config) => ({ ...config, model_type: "videollama2_qwen2" }));
  await refused("videollama2_qwen2", "DAMO-NLP-SG/VideoLLaMA3-7B");
});

test("a supported family is read although its configuration names code, which is not run", async () => {
  writeFileSync(join(folder, "modeling_x.py"), "raise SystemExit('was run')\n");
  editConfig(folder, (config) => ({ ...config, auto_map: { AutoModel: "modeling_x.X" } }));
  assert.equal((await readModelSpec(folder)).modelType, "llava");
});

test("an odd auto_map is no reason to fail in another way", async () => {
  for (const auto_map of [[], {}, { AutoModel: [null] }, { AutoModel: 3 }, "x"]) {
    editConfig(folder, (config) => ({ ...config, model_type: "video_gpt", auto_map }));
    await refused("video_gpt", "supported families are");
  }
});
