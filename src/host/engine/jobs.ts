import { CUSTOM_TEMPLATE } from "../../prompts/templates.ts";
import type { RunEventOf } from "../../protocol/events.ts";
import { targetsFor } from "../../protocol/experiments/knockout.ts";
import type { ExperimentRequest, Observations } from "../../protocol/experiments/schemas.ts";
import { DEFAULT_RANDOM_SEED, presetRanges } from "../../protocol/presets.ts";
import type { PromptItem } from "../../protocol/prompt-item.ts";
import type { AnalysisJob, ClipSource } from "../../protocol/requests.ts";

/** What the clean pass always reports: cheap, and enough for the charts by layer. */
export const BASIC_OBSERVATIONS: Observations = {
  lens: false,
  mass: true,
  attention: "none",
  headAveraged: true,
};

/** Everything the panel can show; for the embedded model it costs next to nothing. */
export const FULL_OBSERVATIONS: Observations = {
  lens: true,
  mass: true,
  attention: "text",
  headAveraged: true,
};

/** For a job that only adds experiments to a run whose clean pass is known. */
export const NO_OBSERVATIONS: Observations = {
  lens: false,
  mass: false,
  attention: "none",
  headAveraged: true,
};

/** The paper's sweep: every target that fits the question, the window centred on every layer. */
export function paperSweep(prompt: PromptItem, window: number): ExperimentRequest {
  return { kind: "knockout", targets: targetsFor(prompt), window, style: "center" };
}

/**
 * The paper's effective pathways for its 7B model (cross-frame 6-15, video → question 6-20,
 * question → last 16-25), scaled to a model's depth, with the random control.
 */
export function paperPathways(layers: number): ExperimentRequest {
  return {
    kind: "pathways",
    ...presetRanges("llava-next-7b", layers),
    randomSeed: DEFAULT_RANDOM_SEED,
  };
}

export interface JobParts {
  readonly model: { readonly folder: string; readonly embedded: boolean };
  readonly clip: string;
  readonly prompt: PromptItem;
  /** Frames to sample when the question does not say. */
  readonly frames: number | undefined;
  readonly order?: ClipSource["order"];
  readonly experiments: readonly ExperimentRequest[];
}

/** A whole analysis as the engine takes it. */
export function makeJob({
  model,
  clip,
  prompt,
  frames,
  order,
  experiments,
}: JobParts): AnalysisJob {
  return {
    model: model.folder,
    embedded: model.embedded,
    clip: {
      path: clip,
      frames: prompt.frames ?? frames,
      startSeconds: prompt.startSeconds,
      endSeconds: prompt.endSeconds,
      fps: prompt.fps,
      order,
    },
    prompt,
    observe: model.embedded ? FULL_OBSERVATIONS : BASIC_OBSERVATIONS,
    experiments,
  };
}

/** The job behind a run that was read from a file: the same model, clip and prompt. */
export function jobOfRun(started: RunEventOf<"run.started">): AnalysisJob {
  const { model, video, prompt } = started;
  const right = prompt.options.find(({ label }) => label === prompt.answer);
  return {
    model: model.folder,
    embedded: model.embedded,
    clip: {
      path: video.path,
      // An older run does not say whether its number of frames was asked for.
      frames: video.pixels === undefined ? video.frames.length : video.framesAsked,
      startSeconds: video.start,
      endSeconds: video.end,
      // A video file's own rate is read from it again.
      fps: video.fps ?? undefined,
      order: video.order,
    },
    prompt: {
      id: prompt.id,
      task: prompt.task,
      question: prompt.question,
      options: prompt.options.map(({ text }) => text),
      answer: right?.text ?? prompt.answer,
      keywords: prompt.keywords,
      // A run of an older version does not say a custom template's text; the engine then refuses the
      // prompt that the model's own template makes.
      template: prompt.template === CUSTOM_TEMPLATE ? prompt.templateText : prompt.template,
    },
    observe: NO_OBSERVATIONS,
    experiments: [],
  };
}
