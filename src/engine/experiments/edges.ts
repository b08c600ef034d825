import type { EdgeSet } from "../trace/interventions.ts";
import { type ExperimentContext, groupOf } from "./plan.ts";

/** All edges from the keys of one group to the queries of another. */
export function edgesBetween(context: ExperimentContext, from: string, to: string): EdgeSet {
  return { kind: "product", keys: groupOf(context, from), queries: groupOf(context, to) };
}

/** For every frame i ≥ 1 the edges from all tokens of frames 0 … i-1 to those of frame i. */
export function crossFrameEdges(context: ExperimentContext): EdgeSet[] {
  const frames = frameGroups(context);
  return frames.slice(1).map((queries, i) => ({
    kind: "product",
    queries,
    keys: Int32Array.from(frames.slice(0, i + 1).flatMap((frame) => Array.from(frame))).sort(),
  }));
}

/** The token positions of each frame, in order. */
export function frameGroups(context: ExperimentContext): Int32Array[] {
  const frames: Int32Array[] = [];
  for (let i = 0; context.groups.has(`frame:${i}`); i++)
    frames.push(groupOf(context, `frame:${i}`));
  return frames;
}
