import assert from "node:assert/strict";
import { test } from "node:test";
import { QWEN2_5_VL_PROCESSOR } from "../../src/engine/families/qwen2-5-vl/processor.ts";
import type { Positions } from "../../src/engine/families/shared/rope.ts";
import { tokenGrid } from "../../src/engine/families/shared/spec.ts";
import { mropePositions } from "../../src/engine/positions/mrope.ts";
import { renderFor } from "../../src/engine/prepare.ts";
import { readChatTemplate } from "../../src/prompts/chat.ts";
import { type PromptTokens, spansOf, tokenizePrompt } from "../../src/prompts/groups.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import { preparedSize } from "../../src/video/preprocess.ts";
import { type Facts, QWEN_CASES } from "./fixtures.ts";
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
interface QwenFacts extends Facts {
  /** Time steps, patches down and across. */
  readonly grid: readonly [times: number, rows: number, columns: number];
  readonly secondsPerStep: number;
  readonly answers: Answers;
  readonly sampled?: readonly Sampled[];
  readonly resized?: readonly {
    readonly height: number;
    readonly width: number;
    readonly shortest: number;
    readonly longest: number;
    readonly frames: number;
    readonly cap: boolean;
    readonly to: readonly [height: number, width: number];
  }[];
}

const factsOf = ({ facts }: OpenCase) => facts as QwenFacts;

/** The prompt as the product lays it out, and where its rows stand. */
async function placedPrompt(
  opened: OpenCase,
): Promise<{ tokens: PromptTokens; text: string; positions: Positions }> {
  const { folder, tokenizer, model } = opened;
  const { spec } = model;
  const { frames, secondsPerStep } = factsOf(opened);
  const [, , height = 0, width = 0] = [0, ...opened.tensors.bytes("pixels").shape];
  const chatTemplate = await readChatTemplate(folder);
  const rendered = renderFor(
    { folder, tokenizer, chatTemplate, open: { spec } },
    promptItem(opened),
    { frameSeconds: [], durationSeconds: 0 },
  );
  const grid = tokenGrid(spec, frames[0], { width, height });
  const tokens = tokenizePrompt(rendered, tokenizer, grid);
  assert.ok(spec.videoPositions !== undefined);
  const positions = mropePositions(spec.videoPositions, { ...tokens, secondsPerStep });
  return { tokens, text: rendered.text, positions };
}

for (const name of QWEN_CASES) {
  test(`${name}: prompt, tokens, groups and three-fold positions are the class's and processor's`, async () => {
    const opened = await openCase(name);
    const facts = factsOf(opened);
    const { tokens, text, positions } = await placedPrompt(opened);
    assert.equal(text, facts.prompt);
    assert.deepEqual([...tokens.ids], [...opened.tensors.integers("tokens.ids").data]);
    const groups = Object.fromEntries([...tokens.groups].map(([k, v]) => [k, spansOf(v)]));
    assert.deepEqual(groups, facts.groups, "one group of tokens for each pair of frames");
    assert.deepEqual(
      tokens.options.map(({ tokenId }) => tokenId),
      facts.optionIds,
    );
    const [times, rows, columns] = facts.grid;
    assert.deepEqual(
      [tokens.grid.frames, tokens.grid.rows * 2, tokens.grid.columns * 2],
      [times, rows, columns],
    );
    const expected = [...opened.tensors.integers("positions").data];
    assert.deepEqual(
      positions.flatMap((axis) => [...Array.from(axis)]),
      expected,
    );
    await opened.model.release();
  });

  measured(name, "frames become the processor's pixels", async (opened, errors) => {
    checkPixels(opened, errors);
  });

  for (const mapped of [false, true]) {
    const how = mapped ? "with weights left in the file" : "with weights in memory";
    measured(
      name,
      `${how}, features, hidden states, attention and logits are transformers'`,
      async (opened, errors) => {
        const { model, tensors, facts } = opened;
        const { tokens, positions } = await placedPrompt(opened);
        const [, height = 0, width = 0] = tensors.bytes("pixels").shape;
        const video = await model.videoTokens(pixelValues(opened), facts.frames[0], () => {}, {
          height,
          width,
        });
        errors.tensor("video tokens", video.tokens, tensors.floats("vision.pooled").data);
        const embeddings = await mergedEmbeddings(model, tokens, video.tokens);
        errors.tensor("merged embeddings", embeddings, tensors.floats("embeddings").data);
        await checkDecoder(opened, embeddings, positions, errors);
      },
      mapped,
    );
  }

  measured(
    name,
    "every target, series and centre of a knockout sweep gives transformers' figures",
    async (opened, errors) => {
      const { positions } = await placedPrompt(opened);
      await checkSweep(opened, positions, errors);
    },
  );

  measured(
    name,
    "greedy tokens stand after the prompt's largest position, as transformers' do",
    async (opened, errors) => {
      const { tokens, positions } = await placedPrompt(opened);
      await checkAnswers(opened, tokens, positions, factsOf(opened).answers, errors);
    },
  );
}

test("frames are chosen as Qwen2-VL's video processor chooses them", async () => {
  const opened = await openCase("m-qwen2-5-vl");
  await opened.model.release();
  const { sampled = [] } = factsOf(opened);
  assert.ok(sampled.length > 100);
  checkSampling(sampled, 2, 768);
});

test("pictures get the sizes that Qwen2-VL's video processor gives them", async () => {
  const opened = await openCase("m-qwen2-5-vl");
  await opened.model.release();
  const { resized = [] } = factsOf(opened);
  assert.ok(resized.length > 50);
  for (const asked of resized) {
    const { height, width, shortest, longest, frames, cap, to } = asked;
    const spec = parseImageProcessor(
      { size: { shortest_edge: shortest, longest_edge: longest }, cap_pixels_per_frame: cap },
      "",
      QWEN2_5_VL_PROCESSOR,
    );
    const size = preparedSize({ height, width }, spec, frames);
    assert.deepEqual([size.height, size.width], to, JSON.stringify(asked));
  }
});
