import type { EventSink } from "../../protocol/events.ts";
import type { PlannedExperiment } from "./run.ts";

/** Which experiments have begun and ended, told as events. */
export class ExperimentBook {
  readonly #sink: EventSink;
  readonly #started = performance.now();
  /** Points that are still to come, by experiment. */
  readonly #left: Map<string, number>;

  /** Tells that all of them begin. */
  constructor(experiments: readonly PlannedExperiment[], sink: EventSink) {
    this.#sink = sink;
    this.#left = new Map(experiments.map(({ id, plan }) => [id, plan.points.length]));
    for (const { id, plan } of experiments) {
      for (const message of plan.notices) sink({ type: "notice", level: "warning", message });
      const branches = plan.points.length;
      sink({ type: "experiment.started", experiment: id, ...plan.recorded, branches });
    }
  }

  /** One point of an experiment was told; after its last one, the experiment's end is. */
  completed(experiment: string): void {
    const left = (this.#left.get(experiment) ?? 0) - 1;
    this.#left.set(experiment, left);
    if (left > 0) return;
    const seconds = (performance.now() - this.#started) / 1000;
    this.#sink({ type: "experiment.finished", experiment, seconds });
  }
}
