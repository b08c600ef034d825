import type { ProgressEvent, RunEvent, RunEventOf, RunEventType } from "../../protocol/events.ts";
import type { EngineState } from "../../protocol/panel.ts";
import type { AnalysisJob } from "../../protocol/requests.ts";
import type { Timeline } from "./timeline.ts";

/** What changed in a session, for the panels that show it. */
export type SessionChange =
  | { readonly kind: "events"; readonly from: number; readonly events: readonly RunEvent[] }
  | { readonly kind: "progress"; readonly event: ProgressEvent }
  | { readonly kind: "engine"; readonly state: EngineState };

/**
 * One run as the extension host holds it: its events in order, live or read from a file, and what
 * the engine is doing for it. Knows neither VS Code nor the file.
 */
export class RunSession {
  readonly #events: RunEvent[] = [];
  readonly #listeners = new Set<(change: SessionChange) => void>();
  #engine: EngineState = { kind: "idle" };

  constructor(
    /** The run file's URI as text. */
    readonly id: string,
    /** Absolute path of the run file. */
    readonly file: string,
    readonly title: string,
    /** How to ask the engine for more about this run; null when that is not possible. */
    public job: AnalysisJob | null,
    /** Whether a user of this window started the run, rather than opened its file. */
    readonly startedHere: boolean,
    /** Of the analysis that a command began; absent for a run that was read from its file. */
    readonly timeline?: Timeline,
  ) {}

  /** All events but progress, in order. */
  get events(): readonly RunEvent[] {
    return this.#events;
  }

  get engine(): EngineState {
    return this.#engine;
  }

  /** Takes over one event; progress is passed on and not kept. */
  add(event: RunEvent): void {
    this.timeline?.follow(event);
    if (event.type === "progress") {
      this.#tell({ kind: "progress", event });
      return;
    }
    this.#events.push(event);
    this.#tell({ kind: "events", from: this.#events.length - 1, events: [event] });
  }

  setEngine(state: EngineState): void {
    if (state.kind === "running") this.timeline?.reach("engine asked");
    this.#engine = state;
    this.#tell({ kind: "engine", state });
  }

  /** The last event of a type. */
  last<T extends RunEventType>(type: T): RunEventOf<T> | undefined {
    return this.#events.findLast((event): event is RunEventOf<T> => event.type === type);
  }

  /** Listens to changes; the returned function ends it. */
  listen(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(change: SessionChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}
