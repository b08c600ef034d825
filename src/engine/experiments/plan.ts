import { InputError } from "../../common/errors.ts";
import type { Recorded } from "../../protocol/experiments/list.ts";
import type { LayerRange, Observations, ResultDetail } from "../../protocol/experiments/schemas.ts";
import type { Branch } from "../trace/interventions.ts";
import { type PlannedBranch, planBranches } from "../trace/plan.ts";

/** What experiments know of the prompt and the model they intervene in. */
export interface ExperimentContext {
  /** Token groups by name: sorted positions. */
  readonly groups: ReadonlyMap<string, Int32Array>;
  /** S */
  readonly length: number;
  /** L */
  readonly layers: number;
  /** Query heads of a layer. */
  readonly heads: number;
}

/** One branch of an experiment, and what its result stands for. */
export interface ExperimentPoint {
  readonly series: string;
  /** Centre of the window; 0 where there is none. */
  readonly layer: number;
  /** Layers at which the cut acts, as half-open ranges. */
  readonly window: [number, number][];
  readonly branch: Branch;
  /** Share of the attention edges left, of 1. */
  readonly edgesLeft?: number;
  readonly detail?: ResultDetail;
  /** Reads every layer of this branch, as the clean run is read; group mass is not. */
  readonly observe?: Observations | undefined;
}

/** An experiment worked out: its recipe, and every branch it needs. */
export interface ExperimentPlan {
  /** Its kind and recipe, as they are written to the run. */
  readonly recorded: Recorded;
  readonly points: readonly ExperimentPoint[];
  /** What was left out, and why. */
  readonly notices: readonly string[];
}

/** The branches of points, planned: at the end only `last` is read, but where layers are observed. */
export function planPoints(
  points: readonly ExperimentPoint[],
  length: number,
  layers: number,
): PlannedBranch[] {
  return planBranches(
    points.map(({ branch }) => branch),
    length,
    layers,
    (b) => (points[b]?.observe === undefined ? [length - 1] : undefined),
  );
}

/**
 * A token group's positions.
 *
 * @throws InputError naming the groups this prompt has.
 */
export function groupOf(context: ExperimentContext, name: string): Int32Array {
  const group = context.groups.get(name);
  if (group === undefined || group.length === 0) {
    throw new InputError(
      `this prompt has no token group "${name}"; it has ${[...context.groups.keys()].join(", ")}`,
    );
  }
  return group;
}

/** Layers as half-open ranges. */
export function layerSpans(layers: ReadonlySet<number>): [number, number][] {
  const spans: [number, number][] = [];
  for (const layer of [...layers].sort((a, b) => a - b)) {
    const open = spans.at(-1);
    if (open?.[1] === layer) open[1] = layer + 1;
    else spans.push([layer, layer + 1]);
  }
  return spans;
}

/**
 * The layers of an inclusive range.
 *
 * @throws InputError when it does not lie within the model's layers; the message counts from 1.
 */
export function layersIn(context: ExperimentContext, [first, last]: LayerRange): Set<number> {
  const whole = Number.isInteger(first) && Number.isInteger(last);
  if (!whole || first < 0 || last < first || last >= context.layers) {
    throw new InputError(
      `layers ${first + 1}-${last + 1} are not a range within the model's layers 1-${context.layers}`,
    );
  }
  return new Set(Array.from({ length: last - first + 1 }, (_, i) => first + i));
}
