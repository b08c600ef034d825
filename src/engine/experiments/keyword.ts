import { InputError } from "../../common/errors.ts";
import { KEYWORD } from "../../protocol/experiments/keyword.ts";
import type { RequestOf } from "../../protocol/experiments/schemas.ts";
import { edgesBetween } from "./edges.ts";
import type { ExperimentContext, ExperimentPlan } from "./plan.ts";
import { centresIn, sweepPoints } from "./sweep.ts";

const GROUP = "keyword:";

/** Cuts every occurrence of each keyword off the last position, and the video off the keyword. */
export function planKeyword(
  request: RequestOf<"keyword">,
  context: ExperimentContext,
): ExperimentPlan {
  const keywords = [...context.groups.keys()].filter((name) => name.startsWith(GROUP));
  if (keywords.length === 0) {
    throw new InputError("the prompt names no keywords; add `keywords` to it to cut single words");
  }
  const { window, style } = request;
  const centres = centresIn(context, request.layers);
  const points = keywords.flatMap((group) => {
    const keyword = group.slice(GROUP.length);
    const cut = (series: string, from: string, to: string) =>
      sweepPoints(context, {
        series,
        edges: [edgesBetween(context, from, to)],
        centres,
        window,
        style,
        detail: { keyword },
      });
    return [
      ...cut(`Video -/-> "${keyword}"`, "video", group),
      ...cut(`"${keyword}" -/-> Last`, group, "last"),
    ];
  });
  const recipe = { window, style, ...KEYWORD.recipe(request, context.layers), keywords };
  return { recorded: { kind: "keyword", recipe }, points, notices: [] };
}
