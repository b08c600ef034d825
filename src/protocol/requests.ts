import type { RunEventOf } from "./events.ts";
import type { ExperimentRequest, Observations } from "./experiments/schemas.ts";
import type { PromptItem } from "./prompt-item.ts";
import type { CounterfactualOrder } from "./vocabulary.ts";

/** Execution providers of ONNX Runtime; `auto` takes the fastest that works and says which. */
export const PROVIDERS = ["auto", "cpu", "cuda", "dml", "coreml", "webgpu"] as const;
export type Provider = (typeof PROVIDERS)[number];

/** What products with the decoder's weights are computed in; `auto` goes by the provider. */
export const PRECISIONS = ["auto", "float32", "float16"] as const;
export type PrecisionChoice = (typeof PRECISIONS)[number];

/** The memory budget where none is set, in GB of 1e9 bytes. */
export const DEFAULT_MEMORY_BUDGET_GB = 4;

/** Room for clean runs in VS Code, where the setting says nothing, in GB of 1e9 bytes. */
export const DEFAULT_CLEAN_RUNS_GB = 8;

/** Folders of other checkpoints, a sibling's as a rule, that give what a model's own folder lacks. */
export interface BorrowedFolders {
  /** Its tokenizer, with the chat template beside it. */
  readonly tokenizer?: string | undefined;
  /** How frames are prepared, and a chat template. */
  readonly processor?: string | undefined;
}

/** How the engine computes; the same for every job of a process. */
export interface EngineSettings {
  readonly provider: Provider;
  /** Absent: `auto`. */
  readonly precision?: PrecisionChoice | undefined;
  /** 0 lets ONNX Runtime choose. */
  readonly threads: number;
  /** Upper bound of the process's anonymous memory (mapped weights are not), in bytes. */
  readonly memoryBudgetBytes: number;
  /** Folders to take from what the model's own lacks. */
  readonly borrowed?: BorrowedFolders | undefined;
  /** Where video features are kept from run to run; absolute. Absent: in memory only. */
  readonly featureFolder?: string | undefined;
  /**
   * Room for clean runs beside the features, in bytes: what later experiments on a prompt start from.
   * Absent or 0: every pass computes its clean run. A 7B model's, over 1,250 positions, takes 2 GB.
   */
  readonly cleanRunBytes?: number | undefined;
}

/** A clip and how its frames are sampled. */
export interface ClipSource {
  /** A video file or a folder of images; absolute. */
  readonly path: string;
  /** Frames to sample; absent: as the model says. */
  readonly frames?: number | undefined;
  readonly startSeconds?: number | undefined;
  readonly endSeconds?: number | undefined;
  /** Frames per second of a folder of images, which has no rate of its own. */
  readonly fps?: number | undefined;
  /** A counterfactual clip made of the same sampled frames. */
  readonly order?: CounterfactualOrder | undefined;
}

/** A run that a job goes on with: the job's input must be what the run was made of. */
export interface ContinuedRun {
  /** The run's file, for messages. */
  readonly file: string;
  readonly started: RunEventOf<"run.started">;
  /** Whether the run holds its whole clean pass, which then is not told again. */
  readonly cleanKnown: boolean;
}

/** One run: a clip, a prompt, what to observe and which experiments follow. Plain data. */
export interface AnalysisJob {
  /** Model folder; absolute. */
  readonly model: string;
  readonly embedded: boolean;
  readonly clip: ClipSource;
  readonly prompt: PromptItem;
  readonly observe: Observations;
  readonly experiments: readonly ExperimentRequest[];
  /** Absent: a new run. */
  readonly continues?: ContinuedRun | undefined;
}
