import { InputError } from "../../common/errors.ts";
import { KNOCKOUT } from "../../protocol/experiments/knockout.ts";
import type { RequestOf } from "../../protocol/experiments/schemas.ts";
import type { KnockoutTarget } from "../../protocol/vocabulary.ts";
import { crossFrameEdges, edgesBetween } from "./edges.ts";
import type { ExperimentContext, ExperimentPlan, ExperimentPoint } from "./plan.ts";
import { centresIn, sweepPoints } from "./sweep.ts";

const CROSS_FRAME_SERIES = "No cross-frame interactions";

/** A series of a target: the edges from one token group's keys to another's queries. */
interface GroupSeries {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** Series of each target, in the reference implementation's names and order. */
const TARGET_SERIES: Readonly<Record<Exclude<KnockoutTarget, "cross-frame">, GroupSeries[]>> = {
  "vql-to-ql": [
    { name: "Video -/-> Question", from: "video", to: "question" },
    { name: "Video -/-> Last", from: "video", to: "last" },
    { name: "Question -/-> Last", from: "question", to: "last" },
    { name: "Last -/-> Last", from: "last", to: "last" },
  ],
  "question-and-options-to-last": [
    { name: "Non-option question -/-> Last", from: "question-only", to: "last" },
    { name: "True option -/-> Last", from: "true-option", to: "last" },
    { name: "False option -/-> Last", from: "false-options", to: "last" },
  ],
  "vq-to-true-opt": [
    { name: "Video -/-> Non-option question", from: "video", to: "question-only" },
    { name: "Non-option question -/-> True option", from: "question-only", to: "true-option" },
    { name: "Video -/-> True option", from: "video", to: "true-option" },
  ],
};

/** Sweeps the targets' series over window centres (METHODS.md, "Attention knockout"). */
export function planKnockout(
  request: RequestOf<"knockout">,
  context: ExperimentContext,
): ExperimentPlan {
  const { window, style, targets } = request;
  const centres = centresIn(context, request.layers);
  const notices: string[] = [];
  const points: ExperimentPoint[] = [];
  for (const target of targets) {
    const common = { centres, window, style, detail: { target } };
    if (target === "cross-frame") {
      const edges = crossFrameEdges(context);
      if (edges.length === 0) {
        notices.push("the clip has one frame, so there is no cross-frame edge");
      } else {
        points.push(...sweepPoints(context, { series: CROSS_FRAME_SERIES, edges, ...common }));
      }
      continue;
    }
    for (const { name: series, from, to } of TARGET_SERIES[target]) {
      const missing = [from, to].find((group) => (context.groups.get(group)?.length ?? 0) === 0);
      if (missing !== undefined) {
        notices.push(`"${series}" is left out: this prompt has no token group "${missing}"`);
        continue;
      }
      const edges = [edgesBetween(context, from, to)];
      points.push(...sweepPoints(context, { series, edges, ...common }));
    }
  }
  if (points.length === 0) {
    throw new InputError(`nothing can be cut: ${notices.join("; ") || "no target was chosen"}`);
  }
  const recipe = { targets, window, style, ...KNOCKOUT.recipe(request, context.layers) };
  return { recorded: { kind: "knockout", recipe }, points, notices };
}
