import { InputError } from "../../common/errors.ts";
import type { RequestOf } from "../../protocol/experiments/schemas.ts";
import { frameGroups } from "./edges.ts";
import { type ExperimentContext, type ExperimentPlan, layerSpans, layersIn } from "./plan.ts";

/** Each frame cut off each later frame, one pair at a time, over a layer range. */
export function planFramePairs(
  request: RequestOf<"frame-pairs">,
  context: ExperimentContext,
): ExperimentPlan {
  const frames = frameGroups(context);
  if (frames.length < 2) throw new InputError("the clip has one frame; frame pairs need two");
  const layers = layersIn(context, request.layers);
  const points = frames.flatMap((queries, to) =>
    frames.slice(0, to).map((keys, from) => ({
      series: `Frame ${from + 1} -/-> Frame ${to + 1}`,
      layer: 0,
      window: layerSpans(layers),
      branch: {
        interventions: [
          { kind: "knockout" as const, edges: { kind: "product" as const, queries, keys }, layers },
        ],
      },
      detail: { from, to },
    })),
  );
  const recipe = { layers: request.layers };
  return { recorded: { kind: "frame-pairs", recipe }, points, notices: [] };
}
