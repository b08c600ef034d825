import { InputError } from "../../common/errors.ts";
import type { WindowStyle } from "../../protocol/events.ts";
import type { ExperimentRequest, KnockoutTarget, LayerRange } from "../../protocol/requests.ts";
import type { EdgeSet, Intervention } from "../trace/interventions.ts";
import {
  type ExperimentPlan,
  type ExperimentPoint,
  groupOf,
  layerSpans,
  layersIn,
  type Subject,
} from "./plan.ts";
import { windowLayers } from "./windows.ts";

/** A series of a target: the edges from one token group's keys to another's queries. */
interface GroupSeries {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

export const CROSS_FRAME_SERIES = "No cross-frame interactions";

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

/** All edges from the keys of one group to the queries of another. */
export function edgesBetween(subject: Subject, from: string, to: string): EdgeSet {
  return { kind: "product", keys: groupOf(subject, from), queries: groupOf(subject, to) };
}

/** For every frame i ≥ 1 the edges from all tokens of frames 0 … i-1 to those of frame i. */
export function crossFrameEdges(subject: Subject): EdgeSet[] {
  const frames = frameGroups(subject);
  return frames.slice(1).map((queries, i) => ({
    kind: "product",
    queries,
    keys: Int32Array.from(frames.slice(0, i + 1).flatMap((frame) => Array.from(frame))).sort(),
  }));
}

/** The token positions of each frame, in order. */
export function frameGroups(subject: Subject): Int32Array[] {
  const frames: Int32Array[] = [];
  for (let i = 0; subject.groups.has(`frame:${i}`); i++)
    frames.push(groupOf(subject, `frame:${i}`));
  return frames;
}

/** Sweeps the targets' series over window centres (METHODS.md, "Attention knockout"). */
export function planKnockout(
  request: Extract<ExperimentRequest, { kind: "knockout" }>,
  subject: Subject,
): ExperimentPlan {
  const { window, style, targets } = request;
  const centres = centresOf(subject, request.layers);
  const notices: string[] = [];
  const points: ExperimentPoint[] = [];
  for (const target of targets) {
    if (target === "cross-frame") {
      const edges = crossFrameEdges(subject);
      if (edges.length === 0)
        notices.push("the clip has one frame, so there is no cross-frame edge");
      else
        points.push(...sweep(subject, CROSS_FRAME_SERIES, edges, centres, window, style, target));
      continue;
    }
    for (const { name, from, to } of TARGET_SERIES[target]) {
      const missing = [from, to].find((group) => (subject.groups.get(group)?.length ?? 0) === 0);
      if (missing !== undefined) {
        notices.push(`"${name}" is left out: this prompt has no token group "${missing}"`);
        continue;
      }
      const edges = [edgesBetween(subject, from, to)];
      points.push(...sweep(subject, name, edges, centres, window, style, target));
    }
  }
  if (points.length === 0) {
    throw new InputError(`nothing can be cut: ${notices.join("; ") || "no target was chosen"}`);
  }
  return {
    recipe: { targets, window, style, centres: layerSpans(new Set(centres)) },
    points,
    notices,
  };
}

/** Cuts every occurrence of each keyword off the last position, and the video off the keyword. */
export function planKeyword(
  request: Extract<ExperimentRequest, { kind: "keyword" }>,
  subject: Subject,
): ExperimentPlan {
  const words = [...subject.groups.keys()].filter((name) => name.startsWith("keyword:"));
  if (words.length === 0) {
    throw new InputError("the prompt names no keywords; add `keywords` to it to cut single words");
  }
  const { window, style } = request;
  const centres = centresOf(subject, undefined);
  const points = words.flatMap((group) => {
    const word = group.slice("keyword:".length);
    const cut = (name: string, from: string, to: string) =>
      sweep(
        subject,
        name,
        [edgesBetween(subject, from, to)],
        centres,
        window,
        style,
        "keyword",
      ).map((point) => ({ ...point, detail: { keyword: word } }));
    return [
      ...cut(`Video -/-> "${word}"`, "video", group),
      ...cut(`"${word}" -/-> Last`, group, "last"),
    ];
  });
  return { recipe: { window, style, keywords: words }, points, notices: [] };
}

/** A group-to-group cut made in one head at a time. */
export function planHeads(
  request: Extract<ExperimentRequest, { kind: "heads" }>,
  subject: Subject,
): ExperimentPlan {
  const { from, to, window } = request;
  const edges = edgesBetween(subject, from, to);
  const points = centresOf(subject, request.layers).flatMap((layer) => {
    const layers = windowLayers("center", layer, window, subject.layers);
    return Array.from({ length: subject.heads }, (_, head) => ({
      series: `${from} -/-> ${to}, head ${head + 1}`,
      layer,
      window: layerSpans(layers),
      branch: { interventions: [{ kind: "block" as const, edges, layers, heads: [head] }] },
      detail: { head },
    }));
  });
  return { recipe: { from, to, window }, points, notices: [] };
}

/** Each frame cut off each later frame, one pair at a time, over a layer range. */
export function planFramePairs(
  request: Extract<ExperimentRequest, { kind: "frame-pairs" }>,
  subject: Subject,
): ExperimentPlan {
  const frames = frameGroups(subject);
  if (frames.length < 2) throw new InputError("the clip has one frame; frame pairs need two");
  const layers = layersIn(subject, request.layers);
  const points = frames.flatMap((queries, to) =>
    frames.slice(0, to).map((keys, from) => ({
      series: `Frame ${from + 1} -/-> Frame ${to + 1}`,
      layer: 0,
      window: layerSpans(layers),
      branch: {
        interventions: [
          { kind: "block" as const, edges: { kind: "product" as const, queries, keys }, layers },
        ],
      },
      detail: { from, to },
    })),
  );
  return { recipe: { layers: request.layers }, points, notices: [] };
}

/** Any cut: listed source positions off listed target positions. */
export function planWhatIf(
  request: Extract<ExperimentRequest, { kind: "what-if" }>,
  subject: Subject,
): ExperimentPlan {
  const { name, heads } = request;
  const layers = layersIn(subject, request.layers);
  const positions = (list: readonly number[], what: string) => {
    const valid = list.every((p) => Number.isInteger(p) && p >= 0 && p < subject.length);
    if (list.length === 0 || !valid) {
      throw new InputError(`the cut's ${what} tokens are not positions 0-${subject.length - 1}`);
    }
    return Int32Array.from(new Set(list)).sort();
  };
  if (heads?.some((head) => !Number.isInteger(head) || head < 0 || head >= subject.heads)) {
    throw new InputError(`the cut's heads are not within the model's heads 1-${subject.heads}`);
  }
  const edges: EdgeSet = {
    kind: "product",
    keys: positions(request.from, "source"),
    queries: positions(request.to, "target"),
  };
  const point: ExperimentPoint = {
    series: name,
    layer: request.layers[0],
    window: layerSpans(layers),
    branch: { interventions: [{ kind: "block", edges, layers, heads }] },
    observe: request.observe,
  };
  const recipe = { name, from: request.from, to: request.to, layers: request.layers, heads };
  return { recipe, points: [point], notices: [] };
}

function centresOf(subject: Subject, range: LayerRange | undefined): number[] {
  return [...layersIn(subject, range ?? [0, subject.layers - 1])];
}

function sweep(
  subject: Subject,
  series: string,
  edges: readonly EdgeSet[],
  centres: readonly number[],
  window: number,
  style: WindowStyle,
  target: string,
): ExperimentPoint[] {
  return centres.map((layer) => {
    const layers = windowLayers(style, layer, window, subject.layers);
    const interventions: Intervention[] = edges.map((set) => ({
      kind: "block",
      edges: set,
      layers,
    }));
    return {
      series,
      layer,
      window: layerSpans(layers),
      branch: { interventions },
      detail: { target },
    };
  });
}
