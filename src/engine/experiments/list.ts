import type {
  ExperimentKind,
  ExperimentRequest,
  RequestOf,
} from "../../protocol/experiments/schemas.ts";
import { planExit } from "./exit.ts";
import { planSearch } from "./find-pathway.ts";
import { planFramePairs } from "./frame-pairs.ts";
import { planGeneration } from "./generation.ts";
import { planHeads } from "./heads.ts";
import { planKeyword } from "./keyword.ts";
import { planKnockout } from "./knockout.ts";
import { planPathways } from "./pathways.ts";
import type { ExperimentContext, ExperimentPlan } from "./plan.ts";
import type { PlannedExperiment, RunAlone } from "./run.ts";
import { planWhatIf } from "./what-if.ts";

/**
 * Works an experiment out for a prompt: as branches, which experiments share one pass for, or as
 * work of its own, whose passes follow from one another.
 *
 * @throws InputError when the experiment cannot be made on this prompt and model.
 */
type Planner<K extends ExperimentKind> = (
  request: RequestOf<K>,
  context: ExperimentContext,
) => ExperimentPlan | RunAlone;

/** How each kind is worked out; forgetting one is a compile error. */
const PLANNERS: { readonly [K in ExperimentKind]: Planner<K> } = {
  knockout: planKnockout,
  pathways: planPathways,
  "pathway-search": planSearch,
  heads: planHeads,
  "frame-pairs": planFramePairs,
  keyword: planKeyword,
  "what-if": planWhatIf,
  exit: planExit,
  generation: planGeneration,
};

/** An experiment asked for, under the id that its events will carry. */
export interface AskedExperiment {
  readonly id: string;
  readonly request: ExperimentRequest;
}

/** A run's experiments: those made of branches in one pass, and those that run alone. */
export interface PlannedRun {
  readonly joint: readonly PlannedExperiment[];
  readonly alone: readonly { readonly id: string; readonly work: RunAlone }[];
}

/**
 * Works all experiments of a run out before anything runs.
 *
 * @throws InputError when one of them cannot be made.
 */
export function planAll(asked: readonly AskedExperiment[], context: ExperimentContext): PlannedRun {
  const joint: PlannedExperiment[] = [];
  const alone: { id: string; work: RunAlone }[] = [];
  for (const { id, request } of asked) {
    const plan = planOf(request, context);
    if ("points" in plan) joint.push({ id, plan });
    else alone.push({ id, work: plan });
  }
  return { joint, alone };
}

function planOf<K extends ExperimentKind>(
  request: RequestOf<K> & { readonly kind: K },
  context: ExperimentContext,
): ExperimentPlan | RunAlone {
  return PLANNERS[request.kind](request, context);
}
