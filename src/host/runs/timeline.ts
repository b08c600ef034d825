import type { RunEvent } from "../../protocol/events.ts";

/** Stages of a run, in the order in which they are usually reached. */
export type Stage =
  | "question"
  | "panel"
  | "engine asked"
  | "engine answers"
  | "model"
  | "frames"
  | "features"
  | "prompt"
  | "layer"
  | "panel asks"
  | "chart"
  | "finished";

/** When the stages of a run were reached, counted from the command that began it. */
export class Timeline {
  readonly #begun: number;
  readonly #reached = new Map<Stage, number>();

  /** @param begun when the command came, as `performance.now()` gives it. */
  constructor(begun = performance.now()) {
    this.#begun = begun;
  }

  /** Notes a stage, the first time it is reached. */
  reach(stage: Stage): void {
    if (!this.#reached.has(stage)) this.#reached.set(stage, performance.now() - this.#begun);
  }

  /** Notes the stage that an event tells of, if it does. */
  follow(event: RunEvent): void {
    const stage = stageOf(event);
    if (stage !== undefined) this.reach(stage);
  }

  /** Milliseconds from the command to a stage; undefined when it was not reached. */
  at(stage: Stage): number | undefined {
    return this.#reached.get(stage);
  }

  /** All stages so far, in the order in which they were reached: "question 12, panel 30 ms". */
  toString(): string {
    const stages = [...this.#reached].map(([stage, at]) => `${stage} ${Math.round(at)}`);
    return `${stages.join(", ")} ms`;
  }
}

function stageOf(event: RunEvent): Stage | undefined {
  switch (event.type) {
    case "progress": {
      const complete = event.done >= event.total;
      if (event.phase === "open") return complete ? "model" : "engine answers";
      if (event.phase === "video" && complete) return "frames";
      return event.phase === "vision" && complete ? "features" : undefined;
    }
    case "run.started":
      return "prompt";
    case "layer.clean":
      return "layer";
    case "run.finished":
      return "finished";
    default:
      return undefined;
  }
}
