import { InputError } from "../../common/errors.ts";
import type { RequestOf } from "../../protocol/experiments/schemas.ts";
import {
  type ExperimentContext,
  type ExperimentPlan,
  type ExperimentPoint,
  groupOf,
  layerSpans,
  layersIn,
} from "./plan.ts";

/** Any cut: a token group or listed source positions off such target positions. */
export function planWhatIf(
  request: RequestOf<"what-if">,
  context: ExperimentContext,
): ExperimentPlan {
  const { name, from, to, heads } = request;
  const layers = layersIn(context, request.layers);
  const positions = (place: string | readonly number[], what: string) => {
    if (typeof place === "string") return groupOf(context, place);
    const valid = place.every((p) => Number.isInteger(p) && p >= 0 && p < context.length);
    if (place.length === 0 || !valid) {
      throw new InputError(`the cut's ${what} tokens are not positions 0-${context.length - 1}`);
    }
    return Int32Array.from(new Set(place)).sort();
  };
  if (heads?.some((head) => !Number.isInteger(head) || head < 0 || head >= context.heads)) {
    throw new InputError(`the cut's heads are not within the model's heads 1-${context.heads}`);
  }
  const point: ExperimentPoint = {
    series: name,
    layer: request.layers[0],
    window: layerSpans(layers),
    branch: {
      interventions: [
        {
          kind: "knockout",
          edges: {
            kind: "product",
            keys: positions(from, "source"),
            queries: positions(to, "target"),
          },
          layers,
          heads,
        },
      ],
    },
    observe: request.observe,
  };
  const recipe = { name, from, to, layers: request.layers, heads };
  return { recorded: { kind: "what-if", recipe }, points: [point], notices: [] };
}
