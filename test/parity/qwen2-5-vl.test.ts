import assert from "node:assert/strict";
import { test } from "node:test";
import { runGeneration } from "../../src/engine/experiments/generation.ts";
import { planKnockout } from "../../src/engine/experiments/knockout.ts";
import { mropePositions } from "../../src/engine/families/mrope.ts";
import type { Positions } from "../../src/engine/families/rope.ts";
import { tokenGrid } from "../../src/engine/families/spec.ts";
import { renderFor } from "../../src/engine/prepare.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { planBranches } from "../../src/engine/trace/plan.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { readChatTemplate } from "../../src/prompts/chat.ts";
import { type PromptTokens, spansOf, tokenizePrompt } from "../../src/prompts/groups.ts";
import type { RunEvent } from "../../src/runs/events.ts";
import { evenIndices } from "../../src/video/even-indices.ts";
import { parseImageProcessor } from "../../src/video/image-processor.ts";
import { preparedSize, preprocess } from "../../src/video/preprocess.ts";
import { type Facts, positionsOf, QWEN_CASES, slice } from "./fixtures.ts";
import { Errors } from "./measure.ts";
import { mergedEmbeddings, type OpenCase, openCase, pixelValues, promptItem } from "./open.ts";
import { row } from "./reading.ts";

/** What these cases hold beside the others' facts. */
interface QwenFacts extends Facts {
  /** Time steps, patches down and across. */
  readonly grid: readonly [times: number, rows: number, columns: number];
  readonly secondsPerStep: number;
  readonly answers: {
    readonly steps: number;
    readonly ids: readonly number[];
    readonly probabilities: readonly number[];
  };
  readonly sampled?: readonly {
    readonly total: number;
    readonly fps: number;
    readonly num_frames?: number;
    readonly rate?: number;
    readonly max_frames?: number;
    /** All of them, or of more than 100: how many, the one a third of the way, the last. */
    readonly indices: readonly number[];
  }[];
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

  test(`${name}: frames become the processor's pixels`, async (t) => {
    const opened = await openCase(name);
    const { frames, facts, images, tensors } = opened;
    const [count, height, width] = facts.frames;
    const size = height * width * 3;
    const pictures = Array.from({ length: count }, (_, i) => ({
      height,
      width,
      data: frames.subarray(i * size, (i + 1) * size),
    }));
    const { data, shape } = preprocess(pictures, images);
    const expected = tensors.bytes("pixels");
    assert.deepEqual([shape[0], shape[2], shape[3], shape[1]], expected.shape);
    const theirs = pixelValues(opened);
    const errors = new Errors();
    // As steps of the 8-bit picture, which normalising stretched by 1 / (255 · std).
    const plane = (shape[2] ?? 0) * (shape[3] ?? 0);
    const std = images.normalize?.std ?? [1, 1, 1];
    const steps = (values: Float32Array) =>
      values.map((value, i) => value * 255 * (std[Math.floor(i / plane) % 3] ?? 1));
    errors.pixels("pixels", steps(data), steps(theirs));
    await opened.model.release();
    errors.settle(t);
  });

  for (const mapped of [false, true]) {
    const how = mapped ? "with weights left in the file" : "with weights in memory";
    test(`${name}: ${how}, features, hidden states, attention and logits are transformers'`, async (t) => {
      const opened = await openCase(name, mapped);
      const { model, tensors, facts } = opened;
      const errors = new Errors();
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
      await model.release();
      errors.settle(t);
    });
  }

  test(`${name}: every target, series and centre of a knockout sweep gives transformers' figures`, async (t) => {
    const opened = await openCase(name);
    const { facts, tensors, model } = opened;
    const { positions } = await placedPrompt(opened);
    const errors = new Errors();
    const [window = 0] = facts.sweeps.windows;
    const targets = Object.keys(facts.sweeps.targets) as Parameters<
      typeof planKnockout
    >[0]["targets"];
    const groups = new Map(
      Object.entries(facts.groups).map(([group, spans]) => [group, positionsOf(spans)] as const),
    );
    const { positions: length, layers, heads } = facts;
    const { points } = planKnockout(
      { kind: "knockout", targets, window, style: "center" },
      { groups, length, layers, heads },
    );
    const planned = planBranches(
      points.map(({ branch }) => branch),
      length,
      layers,
    );
    const width = model.spec.decoder.hiddenSize;
    const rows = new Float32Array(points.length * width);
    const request = { positions, maxRows: 1 << 20 };
    const embeddings = tensors.floats("embeddings").data;
    await runPass(model, embeddings, planned, request, async (state) => {
      if (state.layer < layers - 1) return;
      points.forEach((_, b) => {
        rows.set(state.branchRow(b, length - 1), b * width);
      });
    });
    const chosen = Int32Array.of(facts.baseAnswer.id, facts.groundTruth.id);
    const flags = points.map(() => true);
    const read = await unembed(model, rows, flags, { k: 1, chosen });
    const score = (column: number) => points.map((_, i) => read.chosen[i * 2 + column] ?? 0);
    const key = `sweep.center.${window}`;
    errors.probability("new_score", score(0), tensors.floats(`${key}.new_score`).data);
    errors.probability("new_score_gt", score(1), tensors.floats(`${key}.new_score_gt`).data);
    assert.deepEqual([...read.topIds], [...tensors.integers(`${key}.new_answer`).data]);
    await model.release();
    errors.settle(t);
  });

  test(`${name}: greedy tokens stand after the prompt's largest position, as transformers' do`, async (t) => {
    const opened = await openCase(name);
    const { facts, tensors, model, tokenizer } = opened;
    const { tokens, positions } = await placedPrompt(opened);
    const { answers } = factsOf(opened);
    const told: RunEvent[] = [];
    await runGeneration(
      model,
      {
        embeddings: tensors.floats("embeddings").data,
        positions,
        length: tokens.length,
        tokenText: (id) => tokenizer.tokenText(id),
      },
      { groups: tokens.groups, length: tokens.length, layers: facts.layers, heads: facts.heads },
      { kind: "generation", maxTokens: answers.steps, cuts: [] },
      "generation",
      (ids) => tokenizer.decode(ids),
      { memoryBudgetBytes: 1 << 30, signal: new AbortController().signal },
      (event) => told.push(event),
    );
    const found = told.flatMap((event) => (event.type === "generation.token" ? [event.token] : []));
    const ends = model.spec.endTokenIds;
    const ids = answers.ids.filter((id) => !ends.includes(id));
    assert.deepEqual(
      found.map(({ id }) => id),
      ids,
    );
    const errors = new Errors();
    errors.probability(
      "probabilities",
      found.map(({ probability }) => probability),
      answers.probabilities.slice(0, ids.length),
    );
    await model.release();
    errors.settle(t);
  });
}

test("frames are chosen as Qwen2-VL's video processor chooses them", async () => {
  const opened = await openCase("m-qwen2-5-vl");
  await opened.model.release();
  const { sampled = [] } = factsOf(opened);
  assert.ok(sampled.length > 100);
  for (const asked of sampled) {
    const { total, fps, num_frames: frames, rate, max_frames: most = 768, indices } = asked;
    const rule = {
      least: 4,
      most,
      multiple: 2,
      ...(rate === undefined ? {} : { perSecond: rate }),
    };
    const found = evenIndices(total, fps, frames, rule);
    const told =
      found.length > 100
        ? [found.length, found[Math.floor(found.length / 3)], found.at(-1)]
        : found;
    assert.deepEqual(told, indices, JSON.stringify(asked));
  }
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
      "qwen2-5-vl",
    );
    const size = preparedSize({ height, width }, spec, frames);
    assert.deepEqual([size.height, size.width], to, JSON.stringify(asked));
  }
});

async function checkDecoder(
  opened: OpenCase,
  embeddings: Float32Array,
  positions: Positions,
  errors: Errors,
): Promise<void> {
  const { model, tensors, facts } = opened;
  const width = model.spec.decoder.hiddenSize;
  const weightRows = tensors.integers("attention.rows").data;
  const attention = tensors.floats("attention");
  const request = { positions, weightRows, maxRows: 1 << 20 };
  await runPass(model, embeddings, [], request, async ({ layer, hidden, weights }) => {
    const last = layer === facts.layers - 1;
    errors.tensor(
      "hidden states",
      hidden,
      last ? tensors.floats("hidden.last_raw").data : slice(tensors.floats("hidden"), layer),
    );
    errors.probability("attention weights", weights ?? [], slice(attention, layer));
    if (!last) return;
    const vocabulary = Int32Array.from({ length: facts.vocab }, (_, id) => id);
    const end = row(hidden, facts.positions - 1, width);
    const read = await unembed(model, end, [true], { k: 1, chosen: vocabulary });
    assert.equal(read.topIds[0], facts.baseAnswer.id);
    // Probabilities give logits up to a constant.
    const logits = tensors.floats("logits.last").data;
    const highest = logits.reduce((most, value) => Math.max(most, value));
    const total = logits.reduce((sum, value) => sum + Math.exp(value - highest), 0);
    const shift = highest + Math.log(total);
    errors.tensor(
      "logits (up to a constant)",
      read.chosen.map(Math.log),
      logits.map((value) => value - shift),
    );
  });
}
