import type { CounterfactualOrder, RunEventOf, WindowStyle } from "./events.ts";
import type { PromptItem } from "./prompt-item.ts";

/** Execution providers of ONNX Runtime; `auto` takes the fastest that works and says which. */
export const PROVIDERS = ["auto", "cpu", "cuda", "dml", "coreml", "webgpu"] as const;
export type Provider = (typeof PROVIDERS)[number];

/** What products with the decoder's weights are computed in; `auto` goes by the provider. */
export const PRECISIONS = ["auto", "float32", "float16"] as const;
export type PrecisionChoice = (typeof PRECISIONS)[number];

/** The memory budget where none is set, in GB of 1e9 bytes. */
export const DEFAULT_MEMORY_BUDGET_GB = 4;

/** How the engine computes; the same for every job of a process. */
export interface EngineSettings {
  readonly provider: Provider;
  /** Absent: `auto`. */
  readonly precision?: PrecisionChoice | undefined;
  /** 0 lets ONNX Runtime choose. */
  readonly threads: number;
  /** Upper bound of the process's anonymous memory (mapped weights are not), in bytes. */
  readonly memoryBudgetBytes: number;
  /** Where video features are kept from run to run; absolute. Absent: in memory only. */
  readonly featureFolder?: string | undefined;
}

/** A clip and how its frames are sampled. */
export interface ClipSource {
  /** A video file or a folder of images; absolute. */
  readonly path: string;
  /** Frames to sample; absent: as the model says. */
  readonly frames?: number | undefined;
  readonly startSeconds?: number | undefined;
  readonly endSeconds?: number | undefined;
  /** A counterfactual clip made of the same sampled frames. */
  readonly order?: CounterfactualOrder | undefined;
}

/** How the logit lens reads residual rows. */
export interface LensOptions {
  /** Whether the final norm comes first; the last layer has it either way. */
  readonly norm: boolean;
  /** The output head, or the input embedding matrix (the reference's choice for its figure). */
  readonly unembedding: "head" | "embedding";
}

/** What the clean pass reports besides the answer by layer. */
export interface Observations {
  /** Logit lens of all video tokens at every layer; `true` is the norm and the output head. */
  readonly lens: boolean | LensOptions;
  /** Attention group mass of every layer and head. */
  readonly mass: boolean;
  /** Attention rows of these positions, or of every text token after the video. */
  readonly attention: "none" | "text" | readonly number[];
  readonly headAveraged: boolean;
}

export const KNOCKOUT_TARGETS = [
  "cross-frame",
  "vql-to-ql",
  "question-and-options-to-last",
  "vq-to-true-opt",
] as const;
export type KnockoutTarget = (typeof KNOCKOUT_TARGETS)[number];

/** Layers a-b of the paper's tables, as [first, last], 0-based and inclusive. */
export type LayerRange = readonly [first: number, last: number];

/** Layer ranges in which an effective pathway keeps each family of edges; absent ones keep nothing. */
export interface KeptRanges {
  readonly crossFrame?: LayerRange | undefined;
  readonly videoToQuestion?: LayerRange | undefined;
  readonly questionToLast?: LayerRange | undefined;
}

/** An experiment asked for, as plain data (METHODS.md says what each computes). */
export type ExperimentRequest =
  | {
      readonly kind: "knockout";
      readonly targets: readonly KnockoutTarget[];
      readonly window: number;
      readonly style: WindowStyle;
      /** Centres to sweep; absent: all. */
      readonly layers?: LayerRange | undefined;
    }
  | (KeptRanges & {
      readonly kind: "pathways";
      /** Seed of the random control; absent: no control. */
      readonly randomSeed?: number | undefined;
    })
  | {
      /** Searches the fewest edges that keep the answer (`searchPathway` says how). */
      readonly kind: "pathway-search";
      /** Share of the clean answer's probability that has to be kept, from 0.5 to 1. */
      readonly keepShare: number;
      /** Pathways tried at most. */
      readonly maxCandidates: number;
      /** Seed of the random control of what is found; absent: no control. */
      readonly randomSeed?: number | undefined;
    }
  | {
      /** Group-to-group cut for each head alone: heads x centres. */
      readonly kind: "heads";
      readonly from: string;
      readonly to: string;
      readonly window: number;
      readonly layers?: LayerRange | undefined;
    }
  | {
      /** Every ordered pair of frames, over one layer range. */
      readonly kind: "frame-pairs";
      readonly layers: LayerRange;
    }
  | { readonly kind: "keyword"; readonly window: number; readonly style: WindowStyle }
  | {
      /** Any cut the user draws. */
      readonly kind: "what-if";
      readonly name: string;
      readonly from: readonly number[];
      readonly to: readonly number[];
      readonly layers: LayerRange;
      readonly heads?: readonly number[] | undefined;
      /** Reads every layer of the cut run as well: answer, lens, attention rows (mass is not). */
      readonly observe?: Observations | undefined;
    }
  | {
      /** Greedy decoding, clean and under each cut, which is in force at every step. */
      readonly kind: "generation";
      readonly maxTokens: number;
      readonly cuts: readonly GenerationCut[];
    };

/** A cut that a generation is made under. */
export type GenerationCut =
  | {
      readonly name: string;
      /** Token groups; `cross-frame` for both cuts every frame off the frames before it. */
      readonly from: string;
      readonly to: string;
      readonly layers: LayerRange;
    }
  | {
      readonly name: string;
      /** Only the effective pathway is kept: see the `pathways` experiment. */
      readonly pathways: KeptRanges;
    };

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
