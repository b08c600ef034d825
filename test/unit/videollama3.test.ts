import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { timesOf } from "../../src/engine/clocks.ts";
import { Engine } from "../../src/engine/engine.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { isNative, tokenGrid } from "../../src/engine/families/shared/spec.ts";
import {
  PUBLISHED_VIDEOLLAMA3_PROCESSOR,
  VIDEOLLAMA3_PROCESSOR,
} from "../../src/engine/families/videollama3/processor.ts";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import type { AnalysisJob } from "../../src/protocol/requests.ts";
import { spreadIndices } from "../../src/video/even-indices.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import { encodePicture } from "../../src/video/pictures.ts";
import { readFrameProcessor } from "../../src/video/processor-file.ts";
import { changedCells } from "../../src/video/token-compression.ts";
import { editConfig, withSection } from "../support/checkpoint-edits.ts";
import { assertRefused } from "../support/refused.ts";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../parity/fixtures/${name}`, import.meta.url));
const LIBRARY = fixture("n-video-llama-3");
const PUBLISHED = fixture("n-videollama3");

describe("reading a VideoLLaMA3 checkpoint", () => {
  const root = mkdtempSync(join(tmpdir(), "flowprobe-videollama3-"));
  const folder = join(root, "copy");

  beforeEach(() => rmSync(folder, { recursive: true, force: true }));
  after(() => rmSync(root, { recursive: true }));

  const refused = (...named: string[]) => assertRefused(folder, ...named);

  test("both layouts give one grid a frame, of the picture's shape, and no windows", async () => {
    for (const layout of [LIBRARY, PUBLISHED]) {
      const spec = await readModelSpec(layout);
      assert.ok(isNative(spec));
      assert.equal(spec.vision.windowSide, undefined);
      assert.ok(spec.vision.layers.every(({ windowed }) => !windowed));
      const grid = tokenGrid(spec, 7, { width: 40, height: 24 });
      assert.deepEqual(grid, { frames: 7, rows: 3, columns: 5 });
    }
  });

  test("in the published layout config.json says whether tokens are left out", async () => {
    cpSync(PUBLISHED, folder, { recursive: true });
    const useTokenCompression = async () => {
      const spec = await readModelSpec(folder);
      assert.ok(isNative(spec));
      return spec.useTokenCompression;
    };
    assert.equal(await useTokenCompression(), true);
    editConfig(folder, (config) => ({ ...config, use_token_compression: false }));
    assert.equal(await useTokenCompression(), false);
  });

  test("settings of the published layout that cannot be used are refused with key and value", async () => {
    cpSync(PUBLISHED, folder, { recursive: true });
    const root = (keys: Record<string, unknown>) =>
      editConfig(folder, (config) => ({ ...config, ...keys }));
    root({ mm_projector_type: "linear" });
    await refused("mm_projector_type", '"linear"');
    root({ mm_projector_type: "mlp2x_gelu", vision_encoder: "DAMO-NLP-SG/SigLIP-NaViT" });
    await refused("vision_encoder", "SigLIP-NaViT");
    root({ vision_encoder: null, use_token_compression: "yes" });
    await refused("use_token_compression", '"yes"');
    root({ use_token_compression: true, image_token_index: null });
    await refused("image_token_index", "null");
    root({ image_token_index: 4, hidden_act: "tanh" });
    await refused("hidden_act", "tanh");
  });

  test("settings of transformers' layout that cannot be used are refused with key and value", async () => {
    cpSync(LIBRARY, folder, { recursive: true });
    const vision = (keys: Record<string, unknown>) =>
      editConfig(folder, (config) => withSection(config, "vision_config", keys));
    vision({ num_channels: 1 });
    await refused("vision_config.num_channels", "is 1");
    vision({ num_channels: 3, num_attention_heads: 5 });
    await refused("vision_config.num_attention_heads", "is 5");
    vision({ num_attention_heads: 4, rope_parameters: { rope_type: "yarn" } });
    await refused("vision_config.rope_parameters.rope_type", "yarn");
    vision({ rope_parameters: null, hidden_act: "mish" });
    await refused("vision_config.hidden_act", "mish");
    vision({ hidden_act: "gelu", intermediate_size: 40 });
    await refused("mlp.fc1.weight", "[36, 32]", "[40, 32]");
    vision({ intermediate_size: 36 });
    editConfig(folder, (config) => withSection(config, "text_config", { model_type: "gemma" }));
    await refused("text_config.model_type", "gemma");
  });

  test("a merge of videos other than by two is refused where it is written", async () => {
    cpSync(PUBLISHED, folder, { recursive: true });
    const file = join(folder, "processor_config.json");
    writeFileSync(file, JSON.stringify({ video_merge_size: 1 }));
    await assert.rejects(readFrameProcessor(folder, PUBLISHED_VIDEOLLAMA3_PROCESSOR), {
      message: `${file}: "video_merge_size" is 1; 2 is supported for videos`,
    });
  });
});

test("settings of its processors that cannot be used are refused with key and value", () => {
  const library = (json: object) => () =>
    parseImageProcessor(json, "p.json", VIDEOLLAMA3_PROCESSOR);
  assert.throws(library({ merge_size: 1 }), /p\.json: "merge_size" is 1/);
  assert.throws(library({ temporal_patch_size: 2 }), /"temporal_patch_size" is 2/);
  assert.throws(library({ video_processor_type: "Qwen2VLVideoProcessor" }), /VideoLlama3Video/);
  const published = (json: object) => () =>
    parseImageProcessor(json, "p.json", PUBLISHED_VIDEOLLAMA3_PROCESSOR);
  assert.throws(published({ image_processor_type: "CLIPImageProcessor" }), /Videollama3Image/);
  assert.throws(published({ max_tokens: 0 }), /"max_tokens" is 0/);
});

test("each processor's own values stand where its file is silent", () => {
  const library = parseImageProcessor({}, "file", VIDEOLLAMA3_PROCESSOR);
  assert.deepEqual(library.normalize?.mean, [0.5, 0.5, 0.5]);
  assert.equal(library.useTokenCompression, true);
  const published = parseImageProcessor({}, "file", PUBLISHED_VIDEOLLAMA3_PROCESSOR);
  assert.deepEqual(published.normalize?.mean, [0.48145466, 0.4578275, 0.40821073]);
  assert.equal(published.useTokenCompression, undefined, "config.json says that");
});

test("frames from the first to the last, as NumPy spaces them; of a short clip each once", () => {
  assert.deepEqual(spreadIndices(100, 30, 8), [0, 14, 28, 42, 56, 70, 84, 99]);
  assert.deepEqual(spreadIndices(48, null, 8), [0, 6, 13, 20, 26, 33, 40, 47]);
  assert.deepEqual(spreadIndices(3, null, 8), [0, 1, 2]);
  assert.deepEqual(spreadIndices(1, null, 8), [0]);
  assert.deepEqual(spreadIndices(9, null, 1), [0]);
  assert.throws(() => spreadIndices(9, null, 0), /whole number from 1/);
});

test("frames of a part are those that ffmpeg cuts out for the reference", () => {
  // Last frames as ffmpeg 5.1 gave them (-ss start -t duration behind the input), of 200 at 25 a second.
  const cuts: [start: number, seconds: number, first: number, last: number][] = [
    [1, 1, 25, 49],
    [1.03, 1, 26, 50],
    [1.02, 1, 26, 49],
    [1.01, 1.5, 26, 62],
    [2.5, 1.01, 63, 87],
    [2.5, 1.03, 63, 87],
    [2.29, 1.51, 58, 94],
    [0.1, 1.49, 3, 39],
    [2.65, 2.69, 67, 133],
  ];
  for (const [start, seconds, first, last] of cuts) {
    assert.deepEqual(spreadIndices(200, 25, 2, start, start + seconds), [first, last]);
  }
  assert.deepEqual(spreadIndices(100, 10, 3, 2, 4), [20, 29, 39]);
  // Parts of less than a second, and folders: int(seconds * rate) - 1, by hand.
  assert.deepEqual(spreadIndices(100, 10, 2, 2.05, 2.95), [19, 28]);
  assert.deepEqual(spreadIndices(100, 10, 2, 2, 4, true), [19, 39]);
  assert.deepEqual(spreadIndices(100, 10, 2, 0, 0.5), [0, 4]);
  assert.throws(() => spreadIndices(100, 10, 2, 0, 0.05), /no frame of the clip lies in the part/);
});

test("times go by frame numbers, or from the start to the end of the part looked at", () => {
  const info = {
    path: "clip.mp4",
    width: 4,
    height: 4,
    frameCount: 100,
    fps: 10,
    durationSeconds: 10,
    codec: "h264",
    container: "mp4",
  } as const;
  const frame = { width: 1, height: 1, data: new Uint8Array(3), timestampSeconds: null };
  const at = (...indices: number[]) => indices.map((index) => ({ ...frame, index }));
  const seconds = (
    clock: "frame" | "span",
    indices: number[],
    fps: number | null = 10,
    part = {},
  ) =>
    timesOf(
      { info: { ...info, fps }, frames: at(...indices) },
      { path: info.path, ...part },
      { kind: "stamped", clock },
    ).frameSeconds.map((value) => Math.round(value * 1e6) / 1e6);
  assert.deepEqual(seconds("frame", [0, 50, 99]), [0, 5, 9.9]);
  assert.deepEqual(seconds("span", [0, 99]), [0, 10]);
  assert.deepEqual(seconds("span", [20, 39], 10, { startSeconds: 2, endSeconds: 4 }), [2, 4]);
  assert.deepEqual(
    seconds("span", [19, 28], 10, { startSeconds: 2.05, endSeconds: 2.95 }),
    [1.9, 2.8],
  );
  assert.deepEqual(seconds("frame", [0, 6], null), [0, 6]);
  assert.deepEqual(seconds("span", [0, 6], null), [0, 2]);
});

test("a token is kept where its square differs from the frame just before", () => {
  // Two squares of 2 x 2 beside each other; the second one changes in the third frame.
  const frame = (right: number) => [0, 0, right, 0, 0, 0, 0, 0].flatMap((value) => [value]);
  const still = [...frame(0), ...frame(0), ...frame(0)];
  const moved = [...frame(1), ...frame(0), ...frame(0)];
  const data = Float32Array.from([...still, ...still, ...moved, ...moved]);
  const kept = changedCells({ data, shape: [4, 3, 2, 4] }, 2);
  assert.deepEqual(kept, [0, 1, 2, 5, 6], "a frame that does not differ keeps its first token");
  const one = changedCells({ data: data.subarray(0, 24), shape: [1, 3, 2, 4] }, 2);
  assert.deepEqual(one, [0, 1]);
});

describe("a run on still images", () => {
  const root = mkdtempSync(join(tmpdir(), "flowprobe-still-"));
  const images = join(root, "images");
  const engine = new Engine({ provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 });
  before(() => {
    mkdirSync(images);
    for (let i = 0; i < 3; i++) {
      // A square in the upper left corner changes in the second image.
      const data = new Uint8Array(32 * 24 * 3).fill(90);
      for (let y = 0; y < 8; y++) data.fill(i === 0 ? 10 : 240, y * 32 * 3, (y * 32 + 8) * 3);
      const picture = encodePicture({ width: 32, height: 24, data }, 32);
      writeFileSync(join(images, `${i}.png`), picture);
    }
  });
  after(async () => {
    await engine.release();
    rmSync(root, { recursive: true });
  });

  test("is announced by what the model is described as", async () => {
    const changedOnly = { kind: "native", pixels: 8, frames: 1, changedOnly: true };
    for (const layout of [LIBRARY, PUBLISHED]) {
      assert.deepEqual((await engine.describe(layout)).token, changedOnly);
    }
  });

  async function run(model: string): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    const job: AnalysisJob = {
      model,
      embedded: false,
      clip: { path: images },
      prompt: { question: "What moves?", options: ["A square", "Nothing"], keywords: [] },
      observe: { lens: true, mass: true, attention: "none", headAveraged: true },
      experiments: [],
    };
    await engine.run(job, (event) => events.push(event), new AbortController().signal);
    return events;
  }

  test("says which cells have tokens, and reads the lens at those alone", async () => {
    const events = await run(PUBLISHED);
    const of = <T extends RunEvent["type"]>(type: T) =>
      events.filter((event): event is RunEventOf<T> => event.type === type);
    const [started] = of("run.started");
    assert.ok(started !== undefined);
    const { grid, groups } = started.tokens;
    assert.deepEqual(grid, {
      frames: 3,
      rows: 3,
      columns: 4,
      cells: [...Array.from({ length: 12 }, (_, cell) => cell), 12, 24],
    });
    const count = (name: string) =>
      groups
        .find((group) => group.name === name)
        ?.spans.reduce((sum, [start, end]) => sum + end - start, 0);
    assert.deepEqual(["frame:0", "frame:1", "frame:2", "video"].map(count), [12, 1, 1, 14]);
    const times = "Time 0.0s:<image>,Time 0.3s:<image>,Time 0.7s:<image>\n";
    assert.ok(started.prompt.text.includes(times), started.prompt.text);
    for (const layer of of("layer.clean")) assert.equal(layer.lens?.ids.shape[0], 14);
  });

  test("keeps all tokens where the checkpoint says so", async () => {
    const whole = join(root, "whole");
    cpSync(PUBLISHED, whole, { recursive: true });
    editConfig(whole, (config) => ({ ...config, use_token_compression: false }));
    const [started] = await run(whole).then((events) =>
      events.filter((event) => event.type === "run.started"),
    );
    assert.deepEqual(started?.tokens.grid, { frames: 3, rows: 3, columns: 4 });
  });

  test("is refused where processor and model do not agree on a token's size", async () => {
    const other = join(root, "other");
    cpSync(PUBLISHED, other, { recursive: true });
    writeFileSync(join(other, "preprocessor_config.json"), JSON.stringify({ patch_size: 3 }));
    await assert.rejects(run(other), /tokens of 6, but the model into 4 and 8/);
  });
});
