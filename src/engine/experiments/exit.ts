import { EXIT } from "../../protocol/experiments/exit.ts";
import type { RequestOf } from "../../protocol/experiments/schemas.ts";
import { type ExperimentContext, type ExperimentPlan, groupOf } from "./plan.ts";
import { centresIn, sweepPoints } from "./sweep.ts";

/**
 * For every layer K: the video's positions are cut from every later row that is not the video's, at
 * layers K and above. The video's own rows need no cut: nothing reads what becomes of them.
 */
export function planExit(request: RequestOf<"exit">, context: ExperimentContext): ExperimentPlan {
  const keys = groupOf(context, "video");
  const video = new Set(keys);
  const first = keys[0] ?? 0;
  const queries = Int32Array.from({ length: context.length - first }, (_, i) => first + i).filter(
    (position) => !video.has(position),
  );
  const points = sweepPoints(context, {
    series: "Video -/-> All later rows",
    edges: [{ kind: "product", keys, queries }],
    centres: centresIn(context, request.layers),
    window: 1,
    style: "top_down",
    detail: {},
  });
  const recipe = EXIT.recipe(request, context.layers);
  return { recorded: { kind: "exit", recipe }, points, notices: [] };
}
