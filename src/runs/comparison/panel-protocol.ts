import type { RunEventOf } from "../../protocol/events.ts";
import type { ExperimentRequest, Observations } from "../../protocol/experiments/schemas.ts";
import type { EngineState, ReplyMessage, RequestOf, SaveRequest } from "../../protocol/panel.ts";
import type { RunFacts } from "./facts.ts";

/**
 * Messages between the extension host and the webview of a comparison. The host takes the facts of each
 * run from its events and sends them whole whenever they change; the webview compares.
 */

/** One run of a comparison, as the host knows it. */
export interface ComparedRun {
  /** The run file's URI as text: stable across reloads. */
  readonly id: string;
  readonly title: string;
  /** Null when the file cannot be read as a run; `problem` says why. */
  readonly facts: RunFacts | null;
  readonly problem: string | null;
  /** Small pictures of the sampled frames, in the order in which the model was shown them. */
  readonly frames: RunEventOf<"video.frames">["frames"];
  /** Null when more can be measured of this run; otherwise why not, in one sentence. */
  readonly refusal: string | null;
  readonly engine: EngineState;
}

/** Kept by the webview with `setState`; the host's serializer gets it back after a reload. */
export interface CompareState {
  readonly version: 1;
  /** Ids of the runs, in the order in which they are shown: the first is what others are compared with. */
  readonly runs: readonly string[];
  readonly layer: number | null;
  readonly choices: Readonly<Record<string, string | number | boolean>>;
}

/** Something that is measured of a run later. */
export type Measurement =
  | { readonly kind: "experiment"; readonly request: ExperimentRequest }
  | { readonly kind: "observe"; readonly observations: Observations };

export interface CompareRequests {
  /** Sent after loading and when the panel becomes visible again. */
  sync: { params: Record<string, never>; result: { readonly runs: readonly ComparedRun[] } };
  /** Opens one run in a panel of its own. */
  open: { params: { readonly run: string }; result: null };
  /** Measures what a run lacks; its facts follow. */
  measure: { params: { readonly run: string; readonly task: Measurement }; result: null };
  save: { params: SaveRequest; result: { readonly saved: string | null } };
}

/** What the host sends without being asked. */
export type ComparePush =
  | { readonly kind: "compared"; readonly run: ComparedRun }
  | { readonly kind: "compared-engine"; readonly run: string; readonly state: EngineState };

export type CompareRequestMessage = RequestOf<CompareRequests>;
export type CompareHostMessage = ReplyMessage | ComparePush;
