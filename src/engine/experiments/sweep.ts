import type { LayerRange, ResultDetail } from "../../protocol/experiments/schemas.ts";
import type { WindowStyle } from "../../protocol/vocabulary.ts";
import type { EdgeSet, Intervention } from "../trace/interventions.ts";
import { type ExperimentContext, type ExperimentPoint, layerSpans, layersIn } from "./plan.ts";
import { windowLayers } from "./windows.ts";

/** Window centres of a range, or of every layer. */
export function centresIn(context: ExperimentContext, range: LayerRange | undefined): number[] {
  return [...layersIn(context, range ?? [0, context.layers - 1])];
}

/** One series: the same edges cut in a window around each centre. */
export interface Sweep {
  readonly series: string;
  readonly edges: readonly EdgeSet[];
  readonly centres: readonly number[];
  readonly window: number;
  readonly style: WindowStyle;
  readonly detail: ResultDetail;
}

/** The points of a series, one for each centre. */
export function sweepPoints(
  context: ExperimentContext,
  { series, edges, centres, window, style, detail }: Sweep,
): ExperimentPoint[] {
  return centres.map((layer) => {
    const layers = windowLayers(style, layer, window, context.layers);
    const interventions: Intervention[] = edges.map((set) => ({
      kind: "knockout",
      edges: set,
      layers,
    }));
    return { series, layer, window: layerSpans(layers), branch: { interventions }, detail };
  });
}
