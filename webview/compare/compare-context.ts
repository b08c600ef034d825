import type { CompareRequests } from "../../src/runs/comparison/panel-protocol.ts";
import type { DrawContext } from "../context.ts";
import { change } from "../dom.ts";
import type { FrameImages } from "../frame-images.ts";
import type { CompareStore } from "./compare-store.ts";

/** What the views of a comparison work with. */
export interface CompareContext extends DrawContext {
  readonly store: CompareStore;
  /** Decoded pictures of a run's sampled frames, by the run's id. */
  pictures(run: string): FrameImages;
  request<N extends keyof CompareRequests & string>(
    name: N,
    params: CompareRequests[N]["params"],
  ): Promise<CompareRequests[N]["result"]>;
}

/** "+3.2 points": a difference of two percentages, already in percent. */
export function points(value: number): string {
  return change(value).replace(" %", " points");
}

/** What every figure's recipe ends with: how the runs stand beside one another. */
export function compareRecipe(store: CompareStore): string[] {
  const { alignment, facts, names } = store;
  return [
    `differences: less run 1${facts.length > 2 ? "" : ` (${names[1] ?? "run 2"} − run 1)`}`,
    ...(alignment.relative
      ? [
          `layers matched by relative depth on the axis of the deepest run (${alignment.layers}); nothing is interpolated`,
        ]
      : []),
    ...facts.map(
      ({ model, prompt }, run) => `run ${run + 1}: ${model.name}, template ${prompt.template}`,
    ),
  ];
}
