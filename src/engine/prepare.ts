import { createHash } from "node:crypto";
import { basename } from "node:path";
import { renderChat } from "../prompts/chat.ts";
import { type PromptTokens, runPrompt, runTokens, tokenizePrompt } from "../prompts/groups.ts";
import type { PromptItem } from "../prompts/item.ts";
import { CHAT_TEMPLATE, type RenderedPrompt, renderPrompt } from "../prompts/templates.ts";
import { type ClipTimes, unknownTimes, videoText } from "../prompts/video-text.ts";
import { type EventSink, RUN_FORMAT, RUN_FORMAT_VERSION, type RunEventOf } from "../runs/events.ts";
import type { ImageProcessorSpec } from "../video/image-processor.ts";
import { cropRectangle, preprocess } from "../video/preprocess.ts";
import { sampleFrames } from "../video/sample-frames.ts";
import type { RgbFrame, SampledVideo } from "../video/types.ts";
import type { Tokenizer } from "./checkpoint/tokenizer.ts";
import { InputError, ModelError, throwIfCancelled } from "./errors.ts";
import { type CleanObserver, massRequest } from "./experiments/observe.ts";
import type { Subject } from "./experiments/plan.ts";
import { randomSource } from "./experiments/random.ts";
import type { PreparedPrompt } from "./experiments/run.ts";
import { type ModelSpec, type PoolingSpec, tokenGrid, trailingTokens } from "./families/spec.ts";
import type { AnalysisJob, ClipSource, Observations } from "./jobs.ts";
import type { OpenModel } from "./runtime/model.ts";
import { range } from "./trace/rows.ts";

/** The usual logit lens. */
const USUAL_LENS = { norm: true, unembedding: "head" } as const;

/** What the model that ships with Flowprobe is called in runs. */
const EMBEDDED_NAME = "Flowprobe embedded";

/** A loaded model: graphs, tokenizer, image processor, and how it is called in a run. */
export interface LoadedModel {
  readonly folder: string;
  readonly open: OpenModel;
  readonly tokenizer: Tokenizer;
  readonly images: ImageProcessorSpec;
  /** The checkpoint's own chat template, in Jinja; undefined when it has none. */
  readonly chatTemplate: string | undefined;
  readonly dtype: string;
}

/** A clip and question as the decoder's input, and everything experiments need to know of them. */
export interface PreparedRun extends PreparedPrompt {
  readonly subject: Subject;
  readonly started: RunEventOf<"run.started">;
  readonly frames: readonly RgbFrame[];
}

/** Video tokens by content, so that a second question on a clip starts at the decoder. */
export class VisionCache {
  readonly #kept = new Map<string, { tokens: Float32Array; grid: PoolingSpec }>();
  readonly #capacity: number;

  /** @param capacity clips kept; the least recently used one goes first. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The tokens of these pixels, computed only when they are not kept yet. */
  async tokens(
    pixels: Float32Array,
    compute: () => Promise<{ tokens: Float32Array; grid: PoolingSpec }>,
  ): Promise<{ tokens: Float32Array; grid: PoolingSpec }> {
    const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
    const key = createHash("sha256").update(bytes).digest("hex");
    const known = this.#kept.get(key) ?? (await compute());
    this.#kept.delete(key);
    this.#kept.set(key, known);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#capacity) break;
      this.#kept.delete(oldest);
    }
    return known;
  }
}

/** A prompt before its clip is looked at. */
export interface RenderedRun {
  readonly rendered: RenderedPrompt;
  readonly tokens: PromptTokens;
  readonly subject: Subject;
  /** Frames the clip will be sampled at. */
  readonly frames: number;
}

/**
 * Renders and tokenises a job's prompt before its clip is looked at: where the model's prompt tells
 * frames' times, others stand in their place.
 *
 * @throws InputError when the prompt cannot be used.
 */
export function preparePrompt(model: LoadedModel, job: AnalysisJob): RenderedRun {
  const frames = job.clip.frames ?? job.prompt.frames ?? model.open.spec.frames;
  return renderedRun(model, job.prompt, frames, unknownTimes(frames));
}

function renderedRun(
  model: LoadedModel,
  item: PromptItem,
  frames: number,
  times: ClipTimes,
): RenderedRun {
  const { spec } = model.open;
  const rendered = renderFor(model, item, times);
  const grid = { ...tokenGrid(spec, frames), trailing: trailingTokens(spec) };
  const tokens = tokenizePrompt(rendered, model.tokenizer, grid);
  const { groups, length } = tokens;
  const { layers, heads } = spec.decoder;
  return { rendered, tokens, subject: { groups, length, layers: layers.length, heads }, frames };
}

/**
 * A question as the model is asked it: by the template it names, or the model's default one, which
 * for most families is the chat template in the checkpoint.
 *
 * @throws ModelError when the checkpoint has no chat template, or one that cannot be used.
 * @throws InputError when the question cannot be laid out.
 */
export function renderFor(
  model: Pick<LoadedModel, "folder" | "tokenizer" | "chatTemplate"> & {
    readonly open: { readonly spec: ModelSpec };
  },
  item: PromptItem,
  times: ClipTimes,
): RenderedPrompt {
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
  const { bosToken, eosToken } = tokenizer;
  const { marker } = prompt;
  return renderChat(item, {
    template: chatTemplate,
    bosToken,
    eosToken,
    placeholder,
    marker,
    video,
  });
}

/** Frames a second that a model's processor assumes of pictures without a clock. */
const ASSUMED_FPS = 24;

/**
 * What a prompt may say of a clip's times, as the models' processors reckon them: from frame numbers
 * and the rate. A counterfactual order changes the frames that are shown, not the times told.
 */
function timesOf({ info, frames }: SampledVideo): ClipTimes {
  const fps = info.fps ?? ASSUMED_FPS;
  return {
    frameSeconds: frames.map(({ index }) => index / fps),
    durationSeconds: info.frameCount / fps,
  };
}

/**
 * Samples the clip, encodes its frames, renders and tokenises the prompt, and merges both.
 *
 * @throws InputError when the clip or the prompt cannot be used; CancelledError when stopped.
 */
export async function prepareRun(
  model: LoadedModel,
  job: AnalysisJob,
  cache: VisionCache,
  sink: EventSink,
  signal: AbortSignal,
): Promise<PreparedRun> {
  // The prompt is checked first: a mistake in it should not wait for the video.
  const { frames: wanted } = preparePrompt(model, job);
  const clip = withPromptRange(job);

  sink({ type: "progress", phase: "video", done: 0, total: 1 });
  const sampled = await sampleFrames(
    clip.path,
    { frames: wanted, start: clip.startSeconds, end: clip.endSeconds },
    signal,
  );
  const frames = reordered(sampled.frames, clip.order);
  sink({ type: "progress", phase: "video", done: 1, total: 1 });

  const { rendered, tokens, subject } = renderedRun(model, job.prompt, wanted, timesOf(sampled));
  const pixels = preprocess(frames, model.images);
  const { tokens: video } = await cache.tokens(pixels.data, () =>
    model.open.videoTokens(pixels.data, frames.length, (done, total) => {
      throwIfCancelled(signal);
      sink({ type: "progress", phase: "vision", done, total });
    }),
  );
  const embeddings = await model.open.embed(tokens.ids);
  placeVideo(embeddings, tokens, video);

  const prompt = runPrompt(job.prompt, rendered, tokens);
  const truth = tokens.options.find(({ label }) => label === prompt.answer);
  return {
    embeddings,
    length: tokens.length,
    options: tokens.options,
    truthId: truth?.tokenId,
    tokenText: (id) => model.tokenizer.tokenText(id),
    observer: (observe) => {
      return observerOf(observe, tokens);
    },
    subject,
    frames,
    started: {
      type: "run.started",
      format: RUN_FORMAT,
      version: RUN_FORMAT_VERSION,
      time: new Date().toISOString(),
      model: runModel(model, job),
      video: runVideo(sampled, frames, clip, model.images),
      prompt,
      tokens: runTokens(tokens),
    },
  };
}

/**
 * Puts a video's tokens [video tokens, d] into the embeddings [S, d] of a prompt, in the place of
 * their placeholders'.
 */
export function placeVideo(
  embeddings: Float32Array,
  tokens: PromptTokens,
  video: Float32Array,
): void {
  const width = embeddings.length / tokens.length;
  if (video.length !== tokens.video.length * width) {
    throw new Error(`${video.length / width} video tokens for ${tokens.video.length} places`);
  }
  tokens.video.forEach((position, i) => {
    embeddings.set(video.subarray(i * width, (i + 1) * width), position * width);
  });
}

/**
 * What readings cover in a prompt: the lens the tokens of all frames (a video token that belongs to
 * none has no place to be drawn at), `text` all positions after the video.
 */
function observerOf(observe: Observations, prompt: PromptTokens): CleanObserver {
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
            positions: video.subarray(0, grid.frames * grid.rows * grid.columns),
            ...(observe.lens === true ? USUAL_LENS : observe.lens),
          },
  };
}

function withPromptRange(job: AnalysisJob): ClipSource {
  return {
    ...job.clip,
    startSeconds: job.clip.startSeconds ?? job.prompt.startSeconds,
    endSeconds: job.clip.endSeconds ?? job.prompt.endSeconds,
  };
}

/** The same sampled frames in another order, for counterfactual clips. */
function reordered(frames: readonly RgbFrame[], order: ClipSource["order"]): readonly RgbFrame[] {
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

function runModel(model: LoadedModel, job: AnalysisJob): RunEventOf<"run.started">["model"] {
  const { spec } = model.open;
  const { decoder } = spec;
  const grid = tokenGrid(spec, spec.frames);
  return {
    name: job.embedded ? EMBEDDED_NAME : basename(model.folder),
    folder: model.folder,
    embedded: job.embedded,
    family: spec.family,
    layers: decoder.layers.length,
    heads: decoder.heads,
    kvHeads: decoder.kvHeads,
    hiddenSize: decoder.hiddenSize,
    vocabSize: decoder.vocabSize,
    dtype: model.dtype,
    tokensPerFrame: grid.rows * grid.columns,
  };
}

function runVideo(
  { info }: SampledVideo,
  frames: readonly RgbFrame[],
  clip: ClipSource,
  images: ImageProcessorSpec,
): RunEventOf<"run.started">["video"] {
  const [first] = frames;
  const size = first ?? { width: info.width, height: info.height };
  return {
    path: info.path,
    width: info.width,
    height: info.height,
    frameCount: info.frameCount,
    fps: info.fps,
    durationSeconds: info.durationSeconds,
    codec: info.codec,
    ...(clip.startSeconds === undefined ? {} : { start: clip.startSeconds }),
    ...(clip.endSeconds === undefined ? {} : { end: clip.endSeconds }),
    ...(clip.order === undefined ? {} : { order: clip.order }),
    frames: frames.map(({ index, timestampSeconds }) => ({ index, timestampSeconds })),
    crop: cropRectangle(size, images),
  };
}
