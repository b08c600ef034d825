import { InputError, ModelError, throwIfCancelled } from "../common/errors.ts";
import { randomSource } from "../common/random.ts";
import { renderChat } from "../prompts/chat.ts";
import { type PromptTokens, runPrompt, runTokens, tokenizePrompt } from "../prompts/groups.ts";
import { CHAT_TEMPLATE, type RenderedPrompt, renderPrompt } from "../prompts/templates.ts";
import { type ClipTimes, unknownTimes, videoText } from "../prompts/video-text.ts";
import type { EventSink, ModelIdentity, RunEventOf } from "../protocol/events.ts";
import type { Observations } from "../protocol/experiments/schemas.ts";
import { RUN_FORMAT, RUN_FORMAT_VERSION } from "../protocol/format.ts";
import { cellCount } from "../protocol/grid.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";
import type { AnalysisJob, ClipSource } from "../protocol/requests.ts";
import { USUAL_LENS } from "../protocol/vocabulary.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { evenIndices, spreadIndices } from "../video/even-indices.ts";
import { checkWanted } from "../video/frame-indices.ts";
import type { ImageProcessorSpec } from "../video/image-processor.ts";
import { type PixelValues, pixelValues, preparedSize } from "../video/preprocess.ts";
import { probeVideo, sampleEach } from "../video/sample-frames.ts";
import type { FrameRule } from "../video/types.ts";
import { rowPositions, timesOf } from "./clocks.ts";
import { type CleanReadRequest, massRequest } from "./experiments/observe.ts";
import type { ExperimentContext } from "./experiments/plan.ts";
import type { PreparedPrompt } from "./experiments/run.ts";
import { checkPictureFits } from "./families/shared/processor-fit.ts";
import {
  isNative,
  type ModelSpec,
  type PictureSize,
  tokenCells,
  tokenGrid,
  tokenSide,
  trailingTokens,
} from "./families/shared/spec.ts";
import { runModel, runVideo } from "./run-header.ts";
import type { OpenModel } from "./runtime/model.ts";
import { keepShown, type ShownFrame } from "./shown-frames.ts";
import { range } from "./trace/rows.ts";
import { keptCells, placeVideo } from "./video-tokens.ts";
import type { VisionCache } from "./vision-cache/cache.ts";
import { featureKey } from "./vision-cache/key.ts";

/** A loaded model: graphs, tokenizer, image processor, and how it is called in a run. */
export interface LoadedModel {
  readonly folder: string;
  readonly open: OpenModel;
  readonly tokenizer: Tokenizer;
  readonly images: ImageProcessorSpec;
  /** The checkpoint's own chat template, in Jinja; undefined when it has none. */
  readonly chatTemplate: string | undefined;
  readonly dtype: string;
  /** What its video features depend on besides the pixels. */
  readonly visionIdentity: string;
  /** What tells it from other checkpoints. */
  readonly identity: ModelIdentity;
}

/** A clip and question made ready, up to the vision tower: everything but the frames' features. */
export interface ReadInput {
  readonly context: ExperimentContext;
  readonly tokens: PromptTokens;
  readonly frames: readonly ShownFrame[];
  /** What a user should know of the clip. */
  readonly warnings: readonly string[];
  readonly pixels: PixelValues;
  readonly kept: readonly number[] | undefined;
  readonly positions: PreparedPrompt["positions"];
  readonly started: RunEventOf<"run.started">;
}

/** A clip and question as the decoder's input, and everything experiments need to know of them. */
export interface PreparedRun extends PreparedPrompt {
  readonly context: ExperimentContext;
  readonly started: RunEventOf<"run.started">;
  readonly frames: readonly ShownFrame[];
  /** What a user should know of the clip. */
  readonly warnings: readonly string[];
  /** What went otherwise than it should, without harm to the results. */
  readonly remarks: readonly string[];
}

/** What prompts are made with; its graphs need not be open. */
export type PromptModel = Pick<LoadedModel, "folder" | "tokenizer" | "chatTemplate"> & {
  readonly open: { readonly spec: ModelSpec };
};

/** A prompt before its clip is looked at. */
export interface RenderedRun {
  readonly rendered: RenderedPrompt;
  readonly tokens: PromptTokens;
  readonly context: ExperimentContext;
}

/** What becomes of a clip: how many frames, and their size once prepared. */
export interface ClipShape {
  readonly frames: number;
  readonly picture: PictureSize;
  /** Cells of the token grid that the model keeps; absent, or while the clip is unknown: all. */
  readonly kept?: readonly number[] | undefined;
}

/**
 * Renders and tokenises a job's prompt before its clip is decoded: where the model's prompt tells
 * frames' times, others stand in their place.
 *
 * @param shape absent: as many frames as asked for; of a model for any size, the smallest pictures.
 * @throws InputError when the prompt cannot be used.
 */
export function preparePrompt(
  model: PromptModel,
  job: Pick<AnalysisJob, "clip" | "prompt">,
  shape = shapeBefore(model, job),
): RenderedRun {
  return renderedRun(model, job.prompt, shape, unknownTimes(shape.frames));
}

function shapeBefore(
  { open: { spec } }: PromptModel,
  job: Pick<AnalysisJob, "clip" | "prompt">,
): ClipShape {
  const side = isNative(spec) ? tokenSide(spec.vision) : spec.vision.imageSize;
  const frames = wantedFrames(job) ?? spec.frames;
  checkWanted(frames);
  return { frames, picture: { width: side, height: side } };
}

/**
 * The shape of a job's clip, looked up in the file only where the model's number of tokens follows it.
 *
 * @throws InputError when the clip cannot be used.
 */
export async function clipShape(model: LoadedModel, job: AnalysisJob): Promise<ClipShape> {
  if (!isNative(model.open.spec)) return shapeBefore(model, job);
  const { path, startSeconds, endSeconds, fps } = withPromptRange(job);
  const info = await probeVideo(path, undefined, fps);
  const rule = frameRule(model, job);
  const frames =
    rule?.(info.frameCount, info.fps, startSeconds, endSeconds, info.container === "folder")
      .length ?? shapeBefore(model, job).frames;
  return { frames, picture: preparedSize(info, model.images, frames) };
}

/** Frames that the job asks for; undefined: it leaves that to the model. */
function wantedFrames(job: Pick<AnalysisJob, "clip" | "prompt">): number | undefined {
  return job.clip.frames ?? job.prompt.frames;
}

/** How frames are chosen, where it is not by the paper's rule. */
function frameRule({ images, open }: LoadedModel, job: AnalysisJob): FrameRule | undefined {
  const { sampling } = images;
  if (sampling === undefined) return undefined;
  if (sampling === "spread") {
    const count = wantedFrames(job) ?? open.spec.frames;
    return (total, fps, start, end, folder) => spreadIndices(total, fps, count, start, end, folder);
  }
  const says = sampling.frames !== undefined || sampling.perSecond !== undefined;
  const wanted = wantedFrames(job) ?? (says ? undefined : open.spec.frames);
  return (total, fps, start, end) => evenIndices(total, fps, wanted, sampling, start, end);
}

function renderedRun(
  model: PromptModel,
  item: PromptItem,
  { frames, picture, kept }: ClipShape,
  times: ClipTimes,
): RenderedRun {
  const { spec } = model.open;
  const rendered = renderFor(model, item, times);
  const extents = tokenGrid(spec, frames, picture);
  const cells = kept ?? tokenCells(spec, extents);
  const grid = { ...extents, cells, trailing: trailingTokens(spec) };
  const tokens = tokenizePrompt(rendered, model.tokenizer, grid);
  refuseStrangeTokens(model, tokens);
  const { groups, length } = tokens;
  const { layers, heads } = spec.decoder;
  return { rendered, tokens, context: { groups, length, layers: layers.length, heads } };
}

/** @throws ModelError when the tokenizer gives a token that the model has no embedding of. */
function refuseStrangeTokens({ folder, open: { spec } }: PromptModel, { ids }: PromptTokens): void {
  const { vocabSize } = spec.decoder;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    if (id < vocabSize) continue;
    throw new ModelError(
      `${folder}: the tokenizer gives the token ${id}, but the model has ${vocabSize} (vocab_size): ` +
        "the tokenizer is another model's; take the one that the model was trained with",
    );
  }
}

/**
 * A question as the model is asked it: by the template it names, or the model's default one, which
 * for most families is the chat template in the checkpoint.
 *
 * @throws ModelError when the checkpoint has no chat template, or one that cannot be used.
 * @throws InputError when the question cannot be laid out.
 */
export function renderFor(model: PromptModel, item: PromptItem, times: ClipTimes): RenderedPrompt {
  const { prompt } = model.open.spec;
  const { tokenizer, chatTemplate } = model;
  const { videoTokenId } = prompt;
  const placeholder =
    typeof videoTokenId === "number" ? tokenizer.tokenText(videoTokenId) : videoTokenId.text;
  const video = videoText(prompt.wording, placeholder, times);
  const template = item.template ?? prompt.template;
  if (template !== CHAT_TEMPLATE) return renderPrompt(item, { template, placeholder, video });
  if (chatTemplate === undefined) {
    throw new ModelError(
      `${model.folder}: has no chat template (chat_template.jinja, or "chat_template" in a ` +
        "processor's or tokenizer's file); give the question a template of its own, with {video} and {question}",
    );
  }
  const { bosToken, specialTokens } = tokenizer;
  const { marker, choice, chat: values } = prompt;
  return renderChat(item, {
    template: chatTemplate,
    bosToken,
    specialTokens,
    placeholder,
    marker,
    video,
    choice,
    values,
  });
}

/**
 * Samples the clip, prepares its frames' pixels, and renders and tokenises the prompt.
 *
 * @throws InputError when the clip or the prompt cannot be used; CancelledError when stopped.
 */
export async function readInput(
  model: LoadedModel,
  job: AnalysisJob,
  sink: EventSink,
  signal: AbortSignal,
): Promise<ReadInput> {
  // The prompt is checked first: a mistake in it should not wait for the video.
  preparePrompt(model, job);
  const asked = wantedFrames(job);
  const clip = withPromptRange(job);

  sink({ type: "progress", phase: "video", done: 0, total: 1 });
  const sampled = await sampleEach(
    clip.path,
    {
      frames: asked ?? model.open.spec.frames,
      rule: frameRule(model, job),
      start: clip.startSeconds,
      end: clip.endSeconds,
      fps: clip.fps,
    },
    keepShown(model.images),
    signal,
  );
  const frames = reordered(sampled.frames, clip.order);
  sink({ type: "progress", phase: "video", done: 1, total: 1 });

  const pixels = pixelValues(
    frames.map(({ prepared }) => prepared),
    model.images,
  );
  const [, , height, width] = pixels.shape;
  checkPictureFits(model.folder, model.open.spec, { width, height });
  const kept = keptCells(model.open.spec, model.images, pixels);
  const shape = { frames: frames.length, picture: { width, height }, kept };
  const times = timesOf(sampled, clip, model.open.spec.prompt.wording);
  const { rendered, tokens, context } = renderedRun(model, job.prompt, shape, times);
  return {
    context,
    tokens,
    frames,
    warnings: sampled.remarks,
    pixels,
    kept,
    positions: rowPositions(model.open.spec, tokens, sampled, clip),
    started: {
      type: "run.started",
      format: RUN_FORMAT,
      version: RUN_FORMAT_VERSION,
      time: new Date().toISOString(),
      model: runModel(model, job, tokens.grid),
      video: runVideo(sampled, frames, { ...clip, frames: asked }, model.images, pixels),
      prompt: runPrompt(job.prompt, rendered, tokens),
      tokens: runTokens(tokens),
    },
  };
}

/**
 * Encodes the frames, or takes their features from the cache, and merges them with the prompt.
 *
 * @throws CancelledError when stopped.
 */
export async function encodeInput(
  model: LoadedModel,
  { context, tokens, frames, warnings, pixels, kept, positions, started }: ReadInput,
  cache: VisionCache,
  sink: EventSink,
  signal: AbortSignal,
): Promise<PreparedRun> {
  const tell = (done: number, total: number) => {
    throwIfCancelled(signal);
    sink({ type: "progress", phase: "vision", done, total });
  };
  const { grid } = tokens;
  const frameTokens = grid.frames * grid.rows * grid.columns;
  const remarks: string[] = [];
  const features = await cache.features(
    featureKey(model.visionIdentity, pixels),
    {
      count: frameTokens + (grid.trailing ?? 0),
      width: model.open.spec.decoder.hiddenSize,
      grid: [grid.frames, grid.rows, grid.columns],
    },
    async () => {
      const { data, shape } = pixels;
      const picture = { width: shape[3], height: shape[2] };
      return (await model.open.videoTokens(data, frames.length, tell, picture)).tokens;
    },
    (message) => remarks.push(message),
  );
  if (features.cached) {
    sink({ type: "progress", phase: "vision", done: 1, total: 1, cached: true });
  }
  const embeddings = await model.open.embed(tokens.ids);
  placeVideo(embeddings, tokens, features.tokens, kept);

  const { prompt, video } = started;
  const truth = tokens.options.find(({ label }) => label === prompt.answer);
  return {
    embeddings,
    positions,
    length: tokens.length,
    options: tokens.options,
    truthId: truth?.tokenId,
    tokenText: (id) => model.tokenizer.tokenText(id),
    observer: (observe) => observerOf(observe, tokens),
    context,
    frames,
    warnings,
    remarks,
    started: features.cached ? { ...started, video: { ...video, featuresCached: true } } : started,
  };
}

/**
 * What readings cover in a prompt: the lens the tokens of all frames (a video token that belongs to
 * none has no place to be drawn at), `text` all positions after the video.
 */
function observerOf(observe: Observations, prompt: PromptTokens): CleanReadRequest {
  const { length, groups, video, grid } = prompt;
  const videoEnd = (video.at(-1) ?? -1) + 1;
  const { attention } = observe;
  if (Array.isArray(attention)) {
    const outside = attention.find((row) => !Number.isInteger(row) || row < 0 || row >= length);
    if (outside !== undefined) {
      throw new InputError(`attention row ${outside} is not a position 0-${length - 1}`);
    }
  }
  const rows =
    attention === "none"
      ? undefined
      : attention === "text"
        ? range(videoEnd, length)
        : Int32Array.from(attention);
  return {
    headAveraged: observe.headAveraged,
    attentionRows: rows,
    mass: observe.mass ? massRequest(groups, length) : undefined,
    lens:
      observe.lens === false
        ? undefined
        : {
            positions: video.subarray(0, cellCount(grid)),
            ...(observe.lens === true ? USUAL_LENS : observe.lens),
          },
  };
}

function withPromptRange(job: AnalysisJob): ClipSource {
  return {
    ...job.clip,
    startSeconds: job.clip.startSeconds ?? job.prompt.startSeconds,
    endSeconds: job.clip.endSeconds ?? job.prompt.endSeconds,
    fps: job.clip.fps ?? job.prompt.fps,
  };
}

/** The same sampled frames in another order, for counterfactual clips. */
function reordered(
  frames: readonly ShownFrame[],
  order: ClipSource["order"],
): readonly ShownFrame[] {
  switch (order) {
    case undefined:
      return frames;
    case "reversed":
      return frames.toReversed();
    case "frozen": {
      const middle = frames[Math.floor(frames.length / 2)];
      return middle === undefined ? frames : frames.map(() => middle);
    }
    case "shuffled": {
      const next = randomSource(frames.length);
      return frames
        .map((frame) => ({ frame, key: next() }))
        .sort((a, b) => a.key - b.key)
        .map(({ frame }) => frame);
    }
  }
}
