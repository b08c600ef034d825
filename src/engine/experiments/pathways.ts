import { PATHWAYS } from "../../protocol/experiments/pathways.ts";
import type { RequestOf } from "../../protocol/experiments/schemas.ts";
import { PATHWAY_SERIES } from "../../protocol/pathways.ts";
import { PathwaySpace } from "./pathway-space.ts";
import type { ExperimentContext, ExperimentPlan } from "./plan.ts";

/**
 * Keeps the edges of the pathway and cuts the rest, each family outside its layer range (METHODS.md,
 * "Effective pathways"): last → last and video → last always; cross-frame, video → question and
 * question → last outside their ranges; video → video after the video → question range ends, and
 * question → question after the question → last range ends. An absent range keeps nothing.
 */
export function planPathways(
  request: RequestOf<"pathways">,
  context: ExperimentContext,
): ExperimentPlan {
  const space = new PathwaySpace(context);
  const points = [space.point(request, PATHWAY_SERIES)];
  const { randomSeed } = request;
  if (randomSeed !== undefined) points.push(space.control(request, randomSeed));
  const recipe = {
    ...PATHWAYS.recipe(request, context.layers),
    edgesLeft: space.edgesLeft(request),
  };
  return { recorded: { kind: "pathways", recipe }, points, notices: [] };
}
