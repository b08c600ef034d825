import type { JobForecast } from "../../engine/engine.ts";
import type { EventSink } from "../../protocol/events.ts";
import type { ExperimentRequest, Observations } from "../../protocol/experiments/schemas.ts";
import type { AnalysisJob } from "../../protocol/requests.ts";

/**
 * The engine as the queue sees it: one task at a time, in a process of its own. Events arrive in
 * order before a task settles, and the last of them is `run.finished`, however it ended.
 *
 * Tasks reject with CancelledError after the signal, within a second; EngineDiedError when the process
 * ended by itself; InputError and ModelError for what the user can mend.
 */
export interface EngineLink {
  /** Analyzes a clip and a question, which stay prepared for the two below. */
  run(job: AnalysisJob, sink: EventSink, signal: AbortSignal): Promise<void>;
  /** One more experiment on the run analyzed last. */
  experiment(
    request: ExperimentRequest,
    id: string,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<void>;
  /** Observes the clean pass of the run analyzed last once more. */
  observe(observations: Observations, sink: EventSink, signal: AbortSignal): Promise<void>;
  /** What a job will need. Opens the model. */
  forecast(job: AnalysisJob, signal: AbortSignal): Promise<JobForecast>;
  /** Starts the process, where none runs: a task is about to come. */
  start(): void;
  /** Ends the process; the next task starts a new one. */
  restart(): void;
}
