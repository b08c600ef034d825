import { basename } from "node:path";
import { InputError } from "../common/errors.ts";
import { newExperimentId } from "../common/experiment-id.ts";
import type { EventSink, RunEventOf } from "../protocol/events.ts";
import type { ExperimentRequest, Observations } from "../protocol/experiments/schemas.ts";
import type { AnalysisJob, EngineSettings } from "../protocol/requests.ts";
import { prepareDecoder } from "../video/decoder-module.ts";
import type { ImageProcessorSpec } from "../video/image-processor.ts";
import { encodePicture } from "../video/pictures.ts";
import { folderStamp, modelIdentity } from "./checkpoint/identity.ts";
import type { CleanStore } from "./clean-cache/store.ts";
import { requireClipFits } from "./clip-memory.ts";
import { forecastRun } from "./experiments/forecast.ts";
import { type PlannedRun, planAll } from "./experiments/list.ts";
import type { CleanReadRequest } from "./experiments/observe.ts";
import { planPoints } from "./experiments/plan.ts";
import { runExperiments } from "./experiments/run.ts";
import { isNative, type ModelSpec, tokenGrid, tokenSide } from "./families/shared/spec.ts";
import { cleanStore, keptRun } from "./kept-runs.ts";
import {
  type InspectedModel,
  inspectModel,
  type MissingPart,
  readModelFiles,
} from "./model-files.ts";
import { modelNotices } from "./notices.ts";
import {
  type ClipShape,
  clipShape,
  encodeInput,
  type LoadedModel,
  type PreparedRun,
  preparePrompt,
  type ReadInput,
  readInput,
} from "./prepare.ts";
import { decoderDtype, OpenModel, visionMultiplyAdds } from "./runtime/model.ts";
import { RUNTIME } from "./runtime/session.ts";
import { requireSameRun } from "./same-run.ts";
import { PICTURE_SIDE, type ShownFrame } from "./shown-frames.ts";
import { forecastPasses, total } from "./trace/memory.ts";
import { usesTokenCompression } from "./video-tokens.ts";
import { VisionCache } from "./vision-cache/cache.ts";
import { visionIdentity } from "./vision-cache/key.ts";
import { FeatureStore } from "./vision-cache/store.ts";

/** What a checkpoint is: plain data, read without opening its graphs. */
export interface ModelDescription {
  readonly folder: string;
  readonly name: string;
  readonly family: string;
  readonly modelType: string;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly vocabSize: number;
  readonly dtype: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly frames: number;
  readonly token: TokenDescription;
  readonly visionLayers: number;
  /** What the user should know of how the folder was read; empty as a rule. */
  readonly notices: readonly string[];
  /** Whether everything opens that a run needs: weights, tokenizer, processor, and a prompt. */
  readonly supported: boolean;
  /** What does not, why, and what would help. */
  readonly missing: readonly MissingPart[];
}

/** What the model makes of a frame: a picture of one size, or of any, cut into tokens. */
export type TokenDescription =
  | { readonly kind: "square"; readonly imageSize: number; readonly tokensPerFrame: number }
  | {
      /** A token covers a square of pixels of so many frames in a row. */
      readonly kind: "native";
      readonly pixels: number;
      readonly frames: number;
      /** Only squares that changed since the frame before have one. */
      readonly changedOnly: boolean;
    };

/** Time and memory a job is expected to need. */
export interface JobForecast {
  readonly seconds: number;
  /** Working memory beside the mapped weights. */
  readonly bytes: number;
}

/** They follow the first layer, but wait no longer than this for it. */
const PICTURES_WAIT_MS = 500;

function pictureOf({ picture }: ShownFrame): RunEventOf<"video.frames">["frames"][number] {
  const png = encodePicture(picture, PICTURE_SIDE);
  return { mime: "image/png", base64: Buffer.from(png).toString("base64") };
}

/**
 * Tells the frames' pictures after the first layer: making them takes longer than a small model's
 * layer does. A layer that takes long, or never comes, does not keep them back.
 */
function withPictures(
  sink: EventSink,
  frames: readonly ShownFrame[],
): { readonly sink: EventSink; tell(): void } {
  const due = performance.now() + PICTURES_WAIT_MS;
  let told = false;
  const tell = () => {
    if (told) return;
    told = true;
    sink({ type: "video.frames", frames: frames.map(pictureOf) });
  };
  return {
    tell,
    sink: (event) => {
      sink(event);
      if (event.type === "layer.clean" || performance.now() > due) tell();
    },
  };
}

/** Clips whose video tokens are kept in memory. */
const CLIPS_KEPT = 4;

/**
 * The engine: one model at a time, one run at a time. Computing blocks the thread, so it lives in a
 * process of its own; everything found is told to the sink as it happens.
 */
export class Engine {
  readonly #settings: EngineSettings;
  #model: LoadedModel | undefined;
  /** State of the model's folder when it was opened. */
  #stamp = "";
  readonly #cache: VisionCache;
  readonly #cleanStore: CleanStore | undefined;
  /** The run made last; its frames are encoded when they are first needed. */
  #input: ReadInput | undefined;
  #prepared: PreparedRun | undefined;

  constructor(settings: EngineSettings) {
    this.#settings = settings;
    const { featureFolder } = settings;
    const store = featureFolder === undefined ? undefined : new FeatureStore(featureFolder);
    this.#cache = new VisionCache(CLIPS_KEPT, store);
    this.#cleanStore = cleanStore(settings);
  }

  /**
   * Describes a model folder.
   *
   * @throws ModelError when the model itself cannot be read; what else is missing is described.
   */
  async describe(folder: string): Promise<ModelDescription> {
    return describeModel(folder, await inspectModel(folder, this.#settings.borrowed));
  }

  /**
   * Analyzes a clip and a question: `run.started`, the clean layers, the answer, then the job's
   * experiments. A job that continues a run must have the run's input; only what the run lacks is
   * computed and told. The run stays prepared for further `experiment` calls.
   *
   * @throws ModelError, InputError, CancelledError; what was found has been told by then.
   */
  async run(job: AnalysisJob, sink: EventSink, signal: AbortSignal): Promise<void> {
    this.#forget();
    sink({ type: "progress", phase: "open", done: 0, total: 1 });
    // Compiles beside, while the model is opened.
    prepareDecoder();
    const model = await this.#load(job.model);
    sink({ type: "progress", phase: "open", done: 1, total: 1 });
    await this.#requireFits(model, job);
    const input = await readInput(model, job, sink, signal);
    const { continues } = job;
    const remark = continues && requireSameRun(continues, input.started);
    this.#input = input;
    if (remark !== undefined) sink({ type: "notice", level: "warning", message: remark });
    if (continues?.cleanKnown === true && job.experiments.length === 0) return;
    const prepared = await this.#encoded(model, input, sink, signal);
    // Planned before anything is told, so that an impossible experiment fails at once.
    const observer = continues?.cleanKnown === true ? undefined : prepared.observer(job.observe);
    const asked = job.experiments.map((request) => ({
      id: newExperimentId(request.kind),
      request,
    }));
    const run = planAll(asked, prepared.context);
    if (continues === undefined) sink(prepared.started);
    const { providerNote } = model.open;
    if (providerNote !== undefined)
      sink({ type: "notice", level: "warning", message: providerNote });
    for (const message of modelNotices(model.open.spec, prepared.length)) {
      sink({ type: "notice", level: "warning", message });
    }
    for (const message of prepared.warnings) sink({ type: "notice", level: "warning", message });
    for (const message of prepared.remarks) sink({ type: "notice", level: "info", message });
    if (observer === undefined) {
      return this.#experiments(model, prepared, undefined, run, sink, signal);
    }
    const pictures = withPictures(sink, prepared.frames);
    try {
      await this.#experiments(model, prepared, observer, run, pictures.sink, signal);
    } finally {
      pictures.tell();
    }
  }

  /**
   * One more experiment on the run prepared last.
   *
   * @throws InputError when there is no such run, or the experiment cannot be made on it.
   */
  async experiment(
    request: ExperimentRequest,
    id: string,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<void> {
    const { model, input } = this.#current();
    const run = planAll([{ id, request }], input.context);
    const prepared = await this.#encoded(model, input, sink, signal);
    await this.#experiments(model, prepared, undefined, run, sink, signal);
  }

  /**
   * What a job will need, known without decoding its clip's pictures.
   *
   * @throws ModelError, InputError as `run` would.
   */
  async forecast(job: AnalysisJob): Promise<JobForecast> {
    const model = await this.#load(job.model);
    const shape = await this.#requireFits(model, job);
    const { context } = preparePrompt(model, job, shape);
    const { joint, alone } = planAll(
      job.experiments.map((request, i) => ({ id: String(i), request })),
      context,
    );
    const { decoder } = model.open.spec;
    const points = joint.flatMap(({ plan }) => plan.points);
    const passes = forecastPasses(
      decoder,
      context.length,
      planPoints(points, context.length, decoder.layers.length),
      this.#settings.memoryBudgetBytes,
    );
    const videoTokens = context.groups.get("video")?.length ?? 0;
    const lensRows = job.observe.lens === false ? 0 : videoTokens;
    const { multiplyAdds } = forecastRun(decoder, passes, lensRows);
    const { memoryBudgetBytes } = this.#settings;
    const most = alone.map(({ work }) => work.forecast(decoder, context.length, memoryBudgetBytes));
    const vision = visionMultiplyAdds(model.open.spec, shape.frames, shape.picture);
    const byThemselves = total(most.map((forecast) => forecast.multiplyAdds));
    return {
      seconds: (multiplyAdds + byThemselves + vision) / (await model.open.pace()),
      bytes: Math.max(passes.memory.forecastBytes, ...most.map((f) => f.memory.forecastBytes)),
    };
  }

  /**
   * Opens a model and what its first run would wait for.
   *
   * @throws ModelError when it cannot be used.
   */
  async warm(folder: string): Promise<void> {
    prepareDecoder();
    const { open } = await this.#load(folder);
    await open.warm();
  }

  /** Observes the clean run prepared last once more, with other observations. */
  async observe(observations: Observations, sink: EventSink, signal: AbortSignal): Promise<void> {
    const { model, input } = this.#current();
    const prepared = await this.#encoded(model, input, sink, signal);
    const observer = prepared.observer(observations);
    const none = planAll([], prepared.context);
    await this.#experiments(model, prepared, observer, none, sink, signal);
  }

  /** Closes the model's sessions. */
  async release(): Promise<void> {
    const model = this.#model;
    this.#model = undefined;
    this.#forget();
    await model?.open.release();
  }

  async #experiments(
    { open, tokenizer }: LoadedModel,
    prepared: PreparedRun,
    observer: CleanReadRequest | undefined,
    { joint, alone }: PlannedRun,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<void> {
    const settings = { memoryBudgetBytes: this.#settings.memoryBudgetBytes, signal };
    if (observer !== undefined || joint.length > 0) {
      await runExperiments(open, prepared, observer, joint, settings, sink);
    }
    const decode = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecial: true });
    const parts = { model: open, prompt: prepared, decode, settings, sink };
    for (const { id, work } of alone) await work.run(id, parts);
  }

  /** @throws InputError when the job's clip alone does not fit the memory budget. */
  async #requireFits(model: LoadedModel, job: AnalysisJob): Promise<ClipShape> {
    const shape = await clipShape(model, job);
    requireClipFits(model.open.spec, shape, this.#settings.memoryBudgetBytes);
    return shape;
  }

  #current(): { model: LoadedModel; input: ReadInput } {
    if (this.#model === undefined || this.#input === undefined) {
      throw new InputError("no clip is analyzed yet; analyze one first");
    }
    return { model: this.#model, input: this.#input };
  }

  /** The decoder's input of a run, made when it is first asked for. */
  async #encoded(
    model: LoadedModel,
    input: ReadInput,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<PreparedRun> {
    if (this.#prepared !== undefined) return this.#prepared;
    const encoded = await encodeInput(model, input, this.#cache, sink, signal);
    const clean = this.#cleanStore && (await keptRun(this.#cleanStore, model, encoded));
    this.#prepared = { ...encoded, clean };
    return this.#prepared;
  }

  /** Lets go of the run made last. */
  #forget(): void {
    this.#prepared?.clean?.close();
    this.#input = undefined;
    this.#prepared = undefined;
  }

  async #load(folder: string): Promise<LoadedModel> {
    const stamp = await folderStamp(folder);
    if (this.#model?.folder === folder && this.#stamp === stamp) return this.#model;
    await this.release();
    const { spec, config, ...files } = await readModelFiles(folder, this.#settings.borrowed);
    const open = await OpenModel.open(spec, this.#settings);
    const decides = { config, endTokenIds: spec.endTokenIds };
    this.#model = {
      folder,
      open,
      ...files,
      dtype: dtypeOf(spec),
      visionIdentity: await visionIdentity(spec, `${open.provider} of ${RUNTIME}`),
      identity: modelIdentity(decides, spec.tensors),
    };
    this.#stamp = stamp;
    return this.#model;
  }
}

function describeModel(
  folder: string,
  { spec, images, missing }: InspectedModel,
): ModelDescription {
  const { decoder, vision } = spec;
  const tensors = [...spec.tensors.values()];
  return {
    folder,
    name: basename(folder),
    family: spec.family,
    modelType: spec.modelType,
    layers: decoder.layers.length,
    heads: decoder.heads,
    kvHeads: decoder.kvHeads,
    headDim: decoder.headDim,
    hiddenSize: decoder.hiddenSize,
    intermediateSize: decoder.intermediateSize,
    vocabSize: decoder.vocabSize,
    dtype: dtypeOf(spec),
    parameters: tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    bytes: tensors.reduce((sum, { length }) => sum + length, 0),
    frames: spec.frames,
    token: describeToken(spec, images),
    visionLayers: vision.layers.length,
    notices: spec.notices,
    supported: missing.length === 0,
    missing,
  };
}

function describeToken(spec: ModelSpec, images: ImageProcessorSpec | undefined): TokenDescription {
  if (isNative(spec)) {
    const { vision } = spec;
    const changedOnly = images !== undefined && usesTokenCompression(spec, images);
    const pixels = tokenSide(vision);
    return { kind: "native", pixels, frames: vision.patchFrames, changedOnly };
  }
  const { rows, columns } = tokenGrid(spec, spec.frames);
  return { kind: "square", imageSize: spec.vision.imageSize, tokensPerFrame: rows * columns };
}

/** The decoder's weight type as transformers names it. */
function dtypeOf(spec: ModelSpec): string {
  const names: Readonly<Record<string, string>> = {
    F32: "float32",
    F16: "float16",
    BF16: "bfloat16",
  };
  const stored = decoderDtype(spec);
  return names[stored] ?? stored;
}
