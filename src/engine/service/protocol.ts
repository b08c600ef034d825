import { CancelledError, InputError, ModelError } from "../../common/errors.ts";
import type { EventSink, RunEvent } from "../../protocol/events.ts";
import type { ExperimentRequest, Observations } from "../../protocol/experiments/schemas.ts";
import type { AnalysisJob, EngineSettings } from "../../protocol/requests.ts";
import type { JobForecast, ModelDescription } from "../engine.ts";

/**
 * Every message between the engine's process and whoever started it. They travel by structured clone,
 * so typed arrays go as they are.
 */

/** What the engine can be asked; each request gets events, then exactly one reply. */
export type EngineRequest =
  | { readonly kind: "describe"; readonly folder: string }
  | { readonly kind: "forecast"; readonly job: AnalysisJob }
  /** Opens a model ahead of its first run. */
  | { readonly kind: "warm"; readonly folder: string }
  | { readonly kind: "run"; readonly job: AnalysisJob }
  /** On the run made last. */
  | {
      readonly kind: "experiment";
      readonly experiment: string;
      readonly request: ExperimentRequest;
    }
  | { readonly kind: "observe"; readonly observations: Observations };

/** What each request is answered with. */
export interface EngineResults {
  readonly describe: ModelDescription;
  readonly forecast: JobForecast;
  readonly warm: undefined;
  readonly run: undefined;
  readonly experiment: undefined;
  readonly observe: undefined;
}

export type ToEngine =
  /** First, and once: the engine is made with these. */
  | { readonly kind: "configure"; readonly settings: EngineSettings }
  | { readonly kind: "request"; readonly id: number; readonly request: EngineRequest }
  | { readonly kind: "cancel"; readonly id: number };

export type FromEngine =
  | { readonly kind: "event"; readonly id: number; readonly event: RunEvent }
  | {
      readonly kind: "result";
      readonly id: number;
      readonly result: EngineResults[keyof EngineResults];
    }
  | { readonly kind: "error"; readonly id: number; readonly error: ErrorMessage };

/** An error on its way between processes. */
export interface ErrorMessage {
  /** Class of the error, for those that a user can mend; anything else is a bug. */
  readonly name: "InputError" | "ModelError" | "CancelledError" | "Error";
  readonly message: string;
  readonly stack?: string | undefined;
}

const ERRORS = { InputError, ModelError, CancelledError } as const;

export function toErrorMessage(error: unknown): ErrorMessage {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { message, stack } = error;
  for (const name of ["InputError", "ModelError", "CancelledError"] as const) {
    if (error instanceof ERRORS[name]) return { name, message, stack };
  }
  return { name: "Error", message: `${error.name}: ${message}`, stack };
}

/** The error as it was thrown on the other side, with its class and its stack. */
export function fromErrorMessage({ name, message, stack }: ErrorMessage): Error {
  const error = name === "Error" ? new Error(message) : new ERRORS[name](message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** The engine as the process serves it. */
export interface ServedEngine {
  describe(folder: string): Promise<ModelDescription>;
  forecast(job: AnalysisJob): Promise<JobForecast>;
  warm(folder: string): Promise<void>;
  run(job: AnalysisJob, sink: EventSink, signal: AbortSignal): Promise<void>;
  experiment(
    request: ExperimentRequest,
    id: string,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<void>;
  observe(observations: Observations, sink: EventSink, signal: AbortSignal): Promise<void>;
}
