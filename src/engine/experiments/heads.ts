import { HEADS } from "../../protocol/experiments/heads.ts";
import { cutName } from "../../protocol/experiments/parameters.ts";
import type { RequestOf } from "../../protocol/experiments/schemas.ts";
import { edgesBetween } from "./edges.ts";
import { type ExperimentContext, type ExperimentPlan, layerSpans } from "./plan.ts";
import { centresIn } from "./sweep.ts";
import { windowLayers } from "./windows.ts";

/** A group-to-group cut made in one head at a time. */
export function planHeads(request: RequestOf<"heads">, context: ExperimentContext): ExperimentPlan {
  const { from, to, window } = request;
  const edges = edgesBetween(context, from, to);
  const points = centresIn(context, request.layers).flatMap((layer) => {
    const layers = windowLayers("center", layer, window, context.layers);
    return Array.from({ length: context.heads }, (_, head) => ({
      series: `${cutName({ from, to })}, head ${head + 1}`,
      layer,
      window: layerSpans(layers),
      branch: { interventions: [{ kind: "knockout" as const, edges, layers, heads: [head] }] },
      detail: { head },
    }));
  });
  const recipe = { from, to, window, ...HEADS.recipe(request, context.layers) };
  return { recorded: { kind: "heads", recipe }, points, notices: [] };
}
