import { readModelSpec } from "../../src/engine/families/registry.ts";
import {
  isNative,
  type ModelSpec,
  tokenGrid,
  trailingTokens,
} from "../../src/engine/families/shared/spec.ts";
import { renderFor } from "../../src/engine/prepare.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import type { Branch, EdgeSet, Knockout, Patch } from "../../src/engine/trace/interventions.ts";
import { placeVideo } from "../../src/engine/video-tokens.ts";
import { readChatTemplate } from "../../src/prompts/chat.ts";
import { type PromptTokens, tokenizePrompt } from "../../src/prompts/groups.ts";
import { renderPrompt } from "../../src/prompts/templates.ts";
import type { PromptItem } from "../../src/protocol/prompt-item.ts";
import { openTokenizer, type Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import type { ImageProcessorSpec } from "../../src/video/image-processor.ts";
import { readFrameProcessor } from "../../src/video/processor-file.ts";
import { type CaseName, type Fixture, loadFixture, type Point, positionsOf } from "./fixtures.ts";

/** A fixture whose checkpoint is open. */
export interface OpenCase extends Fixture {
  readonly model: OpenModel;
  readonly tokenizer: Tokenizer;
  readonly images: ImageProcessorSpec;
}

const SETTINGS = { provider: "cpu", threads: 1, memoryBudgetBytes: 1 << 30 } as const;
/** Blocks of a fixture's small matrices, so that each has several. */
const BLOCK_BYTES = 2048;

/**
 * Opens a case's checkpoint, pooled as the case says: image-only bases leave that to the caller.
 *
 * @param mapped as a large checkpoint is opened: weights stay in the file and are widened as used, in blocks.
 */
export async function openCase(name: CaseName, mapped = false): Promise<OpenCase> {
  const fixture = await loadFixture(name);
  const spec = await readModelSpec(fixture.folder);
  const [frames, rows, columns] = fixture.facts.pooling ?? [];
  const pooling =
    frames === undefined || rows === undefined || columns === undefined
      ? undefined
      : { frames, rows, columns };
  const pooled =
    !isNative(spec) && spec.connector.kind === "mlp-pool"
      ? { ...spec, connector: { ...spec.connector, pooling } }
      : spec;
  const model = await (mapped
    ? OpenModel.open(
        pooled,
        { ...SETTINGS, memoryBudgetBytes: 1 },
        { keepWidened: false, blockBytes: BLOCK_BYTES },
      )
    : OpenModel.open(pooled, SETTINGS, { keepWidened: true }));
  return {
    ...fixture,
    model,
    tokenizer: await openTokenizer(fixture.folder),
    images: await readFrameProcessor(fixture.folder, spec.processor),
  };
}

/** The case's question as a prompt file would state it. */
export function promptItem({ facts }: Fixture): PromptItem {
  return {
    question: facts.question,
    options: facts.options,
    answer: facts.options[facts.answer],
    keywords: [facts.keyword],
  };
}

/** The case's prompt in tokens, by the product's own template and tokenizer. */
export function promptTokens(fixture: Fixture, tokenizer: Tokenizer, item: PromptItem) {
  const { facts } = fixture;
  const rendered = renderPrompt(item, { system: facts.system });
  const grid = { frames: facts.videoFrames, rows: 1, columns: facts.tokensPerFrame };
  return { rendered, tokens: tokenizePrompt(rendered, tokenizer, grid) };
}

/** The case's prompt in tokens, by the model's own template and words for a video. */
export async function familyPrompt(fixture: Fixture, spec: ModelSpec, tokenizer: Tokenizer) {
  const { folder, facts } = fixture;
  const { indices = [], fps = 1, totalFrames = 0 } = facts.seen ?? {};
  const rendered = renderFor(
    { folder, tokenizer, chatTemplate: await readChatTemplate(folder), open: { spec } },
    promptItem(fixture),
    { frameSeconds: indices.map((index) => index / fps), durationSeconds: totalFrames / fps },
  );
  const grid = { ...tokenGrid(spec, facts.frames[0]), trailing: trailingTokens(spec) };
  return { rendered, tokens: tokenizePrompt(rendered, tokenizer, grid) };
}

/** [T, 3, H, W] as the model takes it, from the stored bytes [T, H, W, 3]. */
export function pixelValues({ tensors, model, images }: OpenCase): Float32Array {
  const { shape, data } = tensors.bytes("pixels");
  const [frames = 0, height = 0, width = 0] = shape;
  const { mean = [0, 0, 0], std = [1, 1, 1] } = images.normalize ?? {};
  const out = new Float32Array(data.length);
  const plane = height * width;
  for (let frame = 0; frame < frames; frame++) {
    for (let at = 0; at < plane; at++) {
      for (let c = 0; c < 3; c++) {
        const byte = data[(frame * plane + at) * 3 + c] ?? 0;
        out[(frame * 3 + c) * plane + at] = (byte / 255 - (mean[c] ?? 0)) / (std[c] ?? 1);
      }
    }
  }
  const { spec } = model;
  if (!isNative(spec) && height !== spec.vision.imageSize) {
    throw new Error("pixels of another size");
  }
  return out;
}

/**
 * The merged prompt [S, d]: word embeddings, the video's tokens in the placeholders' places.
 *
 * @param kept of the video's tokens, those that the prompt has; default all.
 */
export async function mergedEmbeddings(
  model: OpenModel,
  tokens: PromptTokens,
  video: Float32Array,
  kept?: readonly number[],
): Promise<Float32Array> {
  const words = await model.embed(tokens.ids);
  placeVideo(words, tokens, video, kept);
  return words;
}

/** A point of the fixture as a branch. */
export function branchOf({ tensors }: Fixture, point: Point): Branch {
  const blocks = point.blocks.map(({ queries, keys, layers, heads }): Knockout => {
    const edges: EdgeSet = {
      kind: "product",
      queries: positionsOf(queries),
      keys: positionsOf(keys),
    };
    return {
      kind: "knockout",
      edges,
      layers: new Set(layers),
      ...(heads === null ? {} : { heads }),
    };
  });
  const patches = point.residual.flatMap(({ kind, layers, positions, vectors }) =>
    layers.map(
      (layer): Patch => ({
        kind: "patch",
        mode: kind,
        layer,
        positions: positionsOf(positions),
        values: tensors.floats(vectors).data,
      }),
    ),
  );
  return { interventions: [...blocks, ...patches] };
}
