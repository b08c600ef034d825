import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensorsHeader } from "../../../src/engine/checkpoint/safetensors.ts";
import { locateWeights } from "../../../src/engine/checkpoint/weights.ts";
import { INTERNVL_PROCESSOR } from "../../../src/engine/families/internvl/processor.ts";
import { PLLAVA_PROCESSOR } from "../../../src/engine/families/llava/processor.ts";
import { LLAVA_NEXT_VIDEO_PROCESSOR } from "../../../src/engine/families/llava-next-video/processor.ts";
import { LLAVA_ONEVISION_PROCESSOR } from "../../../src/engine/families/llava-onevision/processor.ts";
import { QWEN2_5_VL_PROCESSOR } from "../../../src/engine/families/qwen2-5-vl/processor.ts";
import { readModelSpec } from "../../../src/engine/families/registry.ts";
import { CLIP_PROCESSOR } from "../../../src/engine/families/shared/clip-processor.ts";
import { SMOLVLM_PROCESSOR } from "../../../src/engine/families/smolvlm/processor.ts";
import {
  PUBLISHED_VIDEOLLAMA3_PROCESSOR,
  VIDEOLLAMA3_PROCESSOR,
} from "../../../src/engine/families/videollama3/processor.ts";
import { openTokenizer } from "../../../src/tokenizer/tokenizer.ts";
import type { ProcessorRules } from "../../../src/video/image-processor.ts";
import { preprocess } from "../../../src/video/preprocess.ts";
import { readFrameProcessor } from "../../../src/video/processor-file.ts";
import { ROOT } from "../../support/bundle.ts";
import { changeBytes, changeJson, type Mutated } from "../mutate.ts";
import type { Target } from "../target.ts";

const FIXTURES = join(ROOT, "test", "parity", "fixtures");
const NOT_READ = /^(expected|frames)/;

/** Checkpoints of every family, small. */
const MODELS = readdirSync(FIXTURES)
  .filter((name) => existsSync(join(FIXTURES, name, "config.json")))
  .sort();

/** A fixture's folder copied to a place of its own, once for each process and fixture. */
const copies = new Map<string, string>();
function copyOf(name: string): string {
  const known = copies.get(name);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), "checkpoint-"));
  for (const file of readdirSync(join(FIXTURES, name))) {
    if (!NOT_READ.test(file)) copyFileSync(join(FIXTURES, name, file), join(folder, file));
  }
  copies.set(name, folder);
  return folder;
}

/** Changes one JSON file of a fixture for as long as something reads it. */
async function withChangedJson<T>(
  model: string,
  file: string,
  { edits }: Mutated,
  read: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = copyOf(model);
  const good = readFileSync(join(FIXTURES, model, file), "utf8");
  writeFileSync(join(folder, file), JSON.stringify(changeJson(JSON.parse(good), edits)) ?? "");
  try {
    return await read(folder);
  } finally {
    writeFileSync(join(folder, file), good);
  }
}

function showJson(pairs: readonly Pair[], { base, edits }: Mutated): string {
  const [model = "", file = ""] = pairs[base] ?? [];
  const changed = changeJson(JSON.parse(readFileSync(join(FIXTURES, model, file), "utf8")), edits);
  return `${model}/${file}: ${JSON.stringify(changed)}`;
}

type Pair = readonly [model: string, file: string];

/** All pairs of a fixture and one of these files that it has. */
function pairsOf(...files: readonly string[]): Pair[] {
  return MODELS.flatMap((model) =>
    files
      .filter((file) => existsSync(join(FIXTURES, model, file)))
      .map((file): Pair => [model, file]),
  );
}

/** A target that changes one JSON file of a checkpoint. */
function jsonTarget(
  name: string,
  shortRuns: number,
  files: readonly string[],
  read: (folder: string, model: string) => Promise<void>,
): Target {
  const pairs = pairsOf(...files);
  return {
    name,
    shortRuns,
    bases: pairs.length,
    run: async (input) => {
      const [model = "", file = ""] = pairs[input.base] ?? [];
      await withChangedJson(model, file, input, (folder) => read(folder, model));
    },
    show: (input) => showJson(pairs, input),
  };
}

async function readSpec(folder: string): Promise<void> {
  const { decoder } = await readModelSpec(folder);
  if (decoder.layers.length > 512 || decoder.heads > 1_024) {
    throw new Error(`a model of ${decoder.layers.length} layers and ${decoder.heads} heads`);
  }
}

const TEXT = "Question: which way?\n(A) Left … 左 👩‍🚀 \u0000 <image> ASSISTANT:Best option:(";

const PROCESSORS: readonly (readonly [name: string, rules: ProcessorRules])[] = [
  ["CLIP", CLIP_PROCESSOR],
  ["PLLaVA", PLLAVA_PROCESSOR],
  ["LLaVA-NeXT-Video", LLAVA_NEXT_VIDEO_PROCESSOR],
  ["LLaVA-OneVision", LLAVA_ONEVISION_PROCESSOR],
  ["InternVL", INTERNVL_PROCESSOR],
  ["SmolVLM", SMOLVLM_PROCESSOR],
  ["Qwen2.5-VL", QWEN2_5_VL_PROCESSOR],
  ["VideoLLaMA3", VIDEOLLAMA3_PROCESSOR],
  ["VideoLLaMA3 as published", PUBLISHED_VIDEOLLAMA3_PROCESSOR],
];
const PICTURE = { width: 48, height: 36, data: new Uint8Array(48 * 36 * 3).fill(90) };

const processors = pairsOf(
  "preprocessor_config.json",
  "processor_config.json",
  "video_preprocessor_config.json",
);

const shards = MODELS.flatMap((model) =>
  readdirSync(join(FIXTURES, model))
    .filter((file) => file.endsWith(".safetensors") && !NOT_READ.test(file))
    .map((file): Pair => [model, file]),
);

export const CHECKPOINT_TARGETS: readonly Target[] = [
  jsonTarget("config", 400, ["config.json", "generation_config.json"], readSpec),
  jsonTarget("index", 150, ["model.safetensors.index.json"], async (folder) => {
    await locateWeights(folder);
  }),
  jsonTarget("tokenizer", 250, ["tokenizer.json", "tokenizer_config.json"], async (folder) => {
    const tokenizer = await openTokenizer(folder);
    const { ids } = tokenizer.encode(TEXT);
    if (ids.length > 100_000) throw new Error(`${ids.length} tokens of a short text`);
    tokenizer.decode([...ids]);
  }),
  {
    name: "processor",
    shortRuns: 400,
    bases: processors.length * PROCESSORS.length,
    run: async (input) => {
      const [model = "", file = ""] = processors[input.base % processors.length] ?? [];
      const [, rules = CLIP_PROCESSOR] =
        PROCESSORS[Math.floor(input.base / processors.length)] ?? [];
      await withChangedJson(model, file, input, async (folder) => {
        preprocess([PICTURE, PICTURE], await readFrameProcessor(folder, rules));
      });
    },
    show: (input) =>
      showJson(processors, { ...input, base: input.base % processors.length }) +
      ` as ${PROCESSORS[Math.floor(input.base / processors.length)]?.[0]}`,
  },
  {
    name: "safetensors",
    shortRuns: 400,
    bases: shards.length,
    run: async ({ base, edits }) => {
      const [model = "", file = ""] = shards[base] ?? [];
      const changed = changeBytes(readFileSync(join(FIXTURES, model, file)), edits);
      const path = join(tmpdir(), "changed.safetensors");
      writeFileSync(path, changed);
      for (const { offset, length } of (await readSafetensorsHeader(path)).values()) {
        if (offset + length > changed.length) throw new Error("a tensor beyond the file's end");
      }
    },
    show: ({ base, edits }) => {
      const [model = "", file = ""] = shards[base] ?? [];
      const changed = changeBytes(readFileSync(join(FIXTURES, model, file)), edits);
      return `${model}/${file}, begins ${JSON.stringify(changed.subarray(0, 400).toString("latin1"))}`;
    },
  },
];
