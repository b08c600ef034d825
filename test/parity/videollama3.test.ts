import assert from "node:assert/strict";
import { test } from "node:test";
import { timesOf } from "../../src/engine/clocks.ts";
import { isNative, tokenGrid, tokenSide } from "../../src/engine/families/shared/spec.ts";
import { PUBLISHED_VIDEOLLAMA3_PROCESSOR } from "../../src/engine/families/videollama3/processor.ts";
import { renderFor } from "../../src/engine/prepare.ts";
import { readChatTemplate } from "../../src/prompts/chat.ts";
import { type PromptTokens, spansOf, tokenizePrompt } from "../../src/prompts/groups.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import { type PixelValues, preparedSize } from "../../src/video/preprocess.ts";
import { changedCells } from "../../src/video/token-compression.ts";
import { type Facts, VIDEOLLAMA3_CASES } from "./fixtures.ts";
import {
  type Answers,
  checkAnswers,
  checkDecoder,
  checkPixels,
  checkSampling,
  checkSweep,
  measured,
  type Sampled,
} from "./native.ts";
import { mergedEmbeddings, type OpenCase, openCase, pixelValues, promptItem } from "./open.ts";

/** What these cases hold beside the others' facts. */
interface VideoLlama3Facts extends Facts {
  /** Frames, patches down and across. */
  readonly grid: readonly [frames: number, rows: number, columns: number];
  /** Tokens that each frame keeps. */
  readonly frameCounts: readonly number[];
  readonly answers: Answers;
  readonly sampled?: readonly Sampled[];
  /** Sizes of frames of `frames` together; bounds in tokens of 28 x 28 pixels. */
  readonly sizes: readonly {
    readonly height: number;
    readonly width: number;
    readonly least: number;
    readonly most: number;
    readonly frames: number;
    readonly to: readonly [height: number, width: number];
  }[];
}

const factsOf = ({ facts }: OpenCase) => facts as VideoLlama3Facts;

/** The processor's own pixels, with their shape. */
function theirPixels(opened: OpenCase): PixelValues {
  const [frames = 0, height = 0, width = 0] = opened.tensors.bytes("pixels").shape;
  return { data: pixelValues(opened), shape: [frames, 3, height, width] };
}

function keptOf(opened: OpenCase, pixels: PixelValues): number[] {
  const { spec } = opened.model;
  assert.ok(isNative(spec));
  assert.equal(spec.useTokenCompression ?? opened.images.useTokenCompression, true);
  return changedCells(pixels, tokenSide(spec.vision));
}

/** The cells that a stored mask of all tokens keeps. */
function cellsOf(mask: Uint8Array): number[] {
  return Array.from(mask, (keeps, cell) => (keeps === 1 ? cell : -1)).filter((cell) => cell >= 0);
}

/** The prompt as the product lays it out. */
async function laidOut(opened: OpenCase): Promise<{ tokens: PromptTokens; text: string }> {
  const { folder, tokenizer, model, facts } = opened;
  const { spec } = model;
  assert.ok(facts.seen !== undefined);
  const { indices, fps, totalFrames } = facts.seen;
  const info = {
    path: "clip.mp4",
    width: 1,
    height: 1,
    frameCount: totalFrames,
    fps,
    durationSeconds: totalFrames / fps,
    codec: "h264",
    container: "mp4",
  } as const;
  const frame = { width: 1, height: 1, data: new Uint8Array(3), timestampSeconds: null };
  const sampled = { info, frames: indices.map((index) => ({ ...frame, index })) };
  const times = timesOf(sampled, { path: info.path }, spec.prompt.wording);
  const chatTemplate = await readChatTemplate(folder);
  const asked = { folder, tokenizer, chatTemplate, open: { spec } };
  const rendered = renderFor(asked, promptItem(opened), times);
  const pixels = theirPixels(opened);
  const [frames, , height, width] = pixels.shape;
  const grid = { ...tokenGrid(spec, frames, { width, height }), cells: keptOf(opened, pixels) };
  return { tokens: tokenizePrompt(rendered, tokenizer, grid), text: rendered.text };
}

for (const name of VIDEOLLAMA3_CASES) {
  test(`${name}: times, tokens, groups and positions are the class's and processor's`, async () => {
    const opened = await openCase(name);
    const { facts, tensors, model } = opened;
    const { tokens, text } = await laidOut(opened);
    assert.equal(text, facts.prompt);
    assert.deepEqual([...tokens.ids], [...tensors.integers("tokens.ids").data]);
    const groups = Object.fromEntries([...tokens.groups].map(([k, v]) => [k, spansOf(v)]));
    assert.deepEqual(groups, facts.groups);
    assert.deepEqual(
      tokens.options.map(({ tokenId }) => tokenId),
      facts.optionIds,
    );
    const [frames, rows, columns] = factsOf(opened).grid;
    const { grid } = tokens;
    assert.deepEqual([grid.frames, grid.rows * 2, grid.columns * 2], [frames, rows, columns]);
    const counts = factsOf(opened).frameCounts.map(
      (_, frame) => tokens.groups.get(`frame:${frame}`)?.length,
    );
    assert.deepEqual(counts, factsOf(opened).frameCounts);
    assert.equal(model.spec.videoPositions, undefined, "rows stand at their numbers");
    const numbers = Array.from({ length: tokens.length }, (_, position) => position);
    assert.deepEqual([...tensors.integers("positions").data], numbers);
    await model.release();
  });

  measured(
    name,
    "frames become the processor's pixels, and the same tokens are kept",
    async (opened, errors) => {
      const pixels = checkPixels(opened, errors);
      const kept = cellsOf(opened.tensors.bytes("kept").data);
      assert.deepEqual(keptOf(opened, pixels), kept);
    },
  );

  for (const mapped of [false, true]) {
    const how = mapped ? "with weights left in the file" : "with weights in memory";
    measured(
      name,
      `${how}, features, hidden states, attention and logits are transformers'`,
      async (opened, errors) => {
        const { model, tensors } = opened;
        const { data, shape } = theirPixels(opened);
        const [frames, , height, width] = shape;
        const video = await model.videoTokens(data, frames, () => {}, { height, width });
        errors.tensor("video tokens", video.tokens, tensors.floats("vision.projected").data);
        const { tokens } = await laidOut(opened);
        const embeddings = await mergedEmbeddings(model, tokens, video.tokens, tokens.grid.cells);
        errors.tensor("merged embeddings", embeddings, tensors.floats("embeddings").data);
        await checkDecoder(opened, embeddings, undefined, errors);
      },
      mapped,
    );
  }

  measured(
    name,
    "every target, series and centre of a knockout sweep gives transformers' figures",
    async (opened, errors) => {
      await checkSweep(opened, undefined, errors);
    },
  );

  measured(name, "greedy tokens are transformers'", async (opened, errors) => {
    const { tokens } = await laidOut(opened);
    await checkAnswers(opened, tokens, undefined, factsOf(opened).answers, errors);
  });

  test(`${name}: frames get the sizes that its processor gives them`, async () => {
    const opened = await openCase(name);
    await opened.model.release();
    const { sizes } = factsOf(opened);
    assert.ok(sizes.length > 30);
    for (const { height, width, least, most, frames, to } of sizes) {
      const settings =
        opened.model.spec.processor === PUBLISHED_VIDEOLLAMA3_PROCESSOR
          ? { min_tokens: least, max_tokens: most }
          : { size: { shortest_edge: least * 784, longest_edge: most * 784 } };
      const spec = parseImageProcessor(settings, "", opened.model.spec.processor);
      const size = preparedSize({ height, width }, spec, frames);
      const asked = JSON.stringify({ height, width, least, most, frames });
      assert.deepEqual([size.height, size.width], to, asked);
    }
  });
}

test("tokens are kept on the right side of the threshold", async () => {
  const opened = await openCase("n-video-llama-3");
  await opened.model.release();
  const { shape, data } = opened.tensors.bytes("still.pixels");
  const [frames = 0, height = 0, width = 0] = shape;
  const plane = height * width;
  const values = Float32Array.from(data, (_, i) => {
    const [frame, channel] = [Math.floor(i / plane / 3), Math.floor(i / plane) % 3];
    const byte = data[(frame * plane + (i % plane)) * 3 + channel] ?? 0;
    return (Math.fround(byte / 255) - 0.5) / 0.5;
  });
  const kept = changedCells({ data: values, shape: [frames, 3, height, width] }, 8);
  assert.deepEqual(kept, cellsOf(opened.tensors.bytes("still.kept").data));
});

test("frames are chosen as transformers' video processor of VideoLLaMA3 chooses them", async () => {
  const opened = await openCase("n-video-llama-3");
  await opened.model.release();
  const { sampled = [] } = factsOf(opened);
  assert.ok(sampled.length > 30);
  checkSampling(sampled, 1, 180);
});
