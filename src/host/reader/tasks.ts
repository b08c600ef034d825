import type { CachedModel } from "../../hub/cache.ts";
import type { FoundModel } from "../../hub/client.ts";
import type { DownloadProgress } from "../../hub/download.ts";
import type { DownloadPlan } from "../../hub/plan.ts";
import type { HubSettings } from "../../hub/settings.ts";
import type { LoadedQuestion } from "../../prompts/files.ts";
import type { PromptProblem } from "../../prompts/problems.ts";
import type { RunEvent } from "../../protocol/events.ts";
import type { ListedModel, ModelOrigin } from "../models/catalog.ts";
import type { RunSummary } from "../runs/summary.ts";

/** How the hub is asked. */
export interface HubAccess {
  readonly settings: HubSettings;
  readonly token: string | undefined;
  /** Where a token can be given, for messages. */
  readonly tokenAdvice: string;
}

/** A model that a search found, and whether its family can be read. */
export type SearchedModel = FoundModel & { readonly supported: boolean };

/** What a reader process can be asked: for each task its parameters, notes on the way, and result. */
export interface ReaderTasks {
  /** Looks at one model folder; what is wrong with it is part of the answer. */
  readonly describeModel: {
    readonly params: {
      readonly name: string;
      readonly folder: string;
      readonly origin: ModelOrigin;
    };
    readonly note: never;
    readonly result: ListedModel;
  };
  /** Models of a Hugging Face cache. */
  readonly cachedModels: {
    readonly params: { readonly cache: string };
    readonly note: never;
    readonly result: CachedModel[];
  };
  /** The two ends of a run file; null when it is none. */
  readonly summarizeRun: {
    readonly params: { readonly file: string };
    readonly note: never;
    readonly result: RunSummary | null;
  };
  /** A run file, its events as notes; the result is what could not be read. */
  readonly readRun: {
    readonly params: { readonly file: string };
    readonly note: readonly RunEvent[];
    readonly result: { readonly problems: readonly string[] };
  };
  /** Questions and mistakes of a prompt file's text, or of the file as it is on the disk. */
  readonly checkPrompts: {
    readonly params: { readonly path: string; readonly text: string | undefined };
    readonly note: never;
    readonly result: {
      readonly questions: readonly LoadedQuestion[];
      readonly problems: readonly PromptProblem[];
    };
  };
  /** The prompt file that belongs to a clip. */
  readonly promptFileBeside: {
    readonly params: { readonly clip: string };
    readonly note: never;
    readonly result: string | undefined;
  };
  /** Models of the hub. */
  readonly searchHub: {
    readonly params: { readonly access: HubAccess; readonly text: string };
    readonly note: never;
    readonly result: SearchedModel[];
  };
  /** What downloading a model would fetch, after a look at its configuration and headers. */
  readonly planDownload: {
    readonly params: { readonly access: HubAccess; readonly name: string };
    readonly note: never;
    readonly result: DownloadPlan;
  };
  /** Fetches what a plan lists; the result is the snapshot's folder. */
  readonly download: {
    readonly params: { readonly access: HubAccess; readonly plan: DownloadPlan };
    readonly note: DownloadProgress;
    readonly result: string;
  };
}
export type ReaderTaskName = keyof ReaderTasks;

/** What a task gets besides its parameters. */
export interface TaskContext<N extends ReaderTaskName> {
  readonly signal: AbortSignal;
  /** Passes a note on; resolves when there is room for the next. */
  note(note: ReaderTasks[N]["note"]): Promise<void>;
}

/** A handler for every task. */
export type ReaderHandlers = {
  readonly [N in ReaderTaskName]: (
    params: ReaderTasks[N]["params"],
    context: TaskContext<N>,
  ) => Promise<ReaderTasks[N]["result"]>;
};
