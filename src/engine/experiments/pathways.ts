import type { ExperimentRequest, KeptRanges, LayerRange } from "../jobs.ts";
import type { Branch, EdgeSet, Intervention } from "../trace/interventions.ts";
import { forEachBlockedKey } from "../trace/interventions.ts";
import { crossFrameEdges, edgesBetween } from "./knockout.ts";
import {
  type ExperimentPlan,
  type ExperimentPoint,
  groupOf,
  layersIn,
  type Subject,
} from "./plan.ts";
import { randomSource } from "./random.ts";

type PathwaysRequest = Extract<ExperimentRequest, { kind: "pathways" }>;

export const PATHWAY_SERIES = "Effective pathways";
export const RANDOM_SERIES = "Random edges";

/**
 * Keeps the edges of the pathway and cuts the rest, each family outside its layer range (METHODS.md,
 * "Effective pathways"): last → last and video → last always; cross-frame, video → question and
 * question → last outside their ranges; video → video after the video → question range ends, and
 * question → question after the question → last range ends. An absent range keeps nothing.
 */
export function planPathways(request: PathwaysRequest, subject: Subject): ExperimentPlan {
  const cuts = pathwayCuts(request, subject);
  const perLayer = blockedPerLayer(cuts, subject);
  const blocked = perLayer.reduce((sum, count) => sum + count, 0);
  const edges = subject.layers * ((subject.length * (subject.length + 1)) / 2);
  const window: [number, number][] = [[0, subject.layers]];
  const common = { layer: 0, window, edgesLeft: 1 - blocked / edges };
  const points: ExperimentPoint[] = [
    { ...common, series: PATHWAY_SERIES, branch: { interventions: cuts } },
  ];
  const { randomSeed } = request;
  if (randomSeed !== undefined) {
    points.push({
      ...common,
      series: RANDOM_SERIES,
      branch: randomControl(subject, perLayer, randomSeed),
    });
  }
  const { crossFrame, videoToQuestion, questionToLast } = request;
  const recipe = {
    crossFrame,
    videoToQuestion,
    questionToLast,
    randomSeed,
    edgesLeft: common.edgesLeft,
  };
  return { recipe, points, notices: [] };
}

/** Everything that is cut so that only the pathway is left. */
export function pathwayCuts(request: KeptRanges, subject: Subject): Intervention[] {
  const all = new Set(Array.from({ length: subject.layers }, (_, layer) => layer));
  const outside = (range: LayerRange | undefined) => {
    if (range === undefined) return all;
    const kept = layersIn(subject, range);
    return new Set([...all].filter((layer) => !kept.has(layer)));
  };
  const beyond = (range: LayerRange | undefined) =>
    new Set([...all].filter((layer) => layer > (range?.[1] ?? -1)));
  const between = (from: string, to: string) => edgesBetween(subject, from, to);
  const families: { edges: EdgeSet; layers: Set<number> }[] = [
    { edges: between("last", "last"), layers: all },
    { edges: between("video", "last"), layers: all },
    ...crossFrameEdges(subject).map((edges) => ({ edges, layers: outside(request.crossFrame) })),
    { edges: between("video", "question"), layers: outside(request.videoToQuestion) },
    { edges: between("question", "last"), layers: outside(request.questionToLast) },
    { edges: between("video", "video"), layers: beyond(request.videoToQuestion) },
    { edges: between("question", "question"), layers: beyond(request.questionToLast) },
  ];
  return families
    .filter(({ layers }) => layers.size > 0)
    .map(({ edges, layers }) => ({ kind: "block", edges, layers }));
}

/** For each layer, how many causal edges some cut blocks; each edge counted once. */
export function blockedPerLayer(cuts: readonly Intervention[], subject: Subject): number[] {
  const counted = new Map<string, number>();
  return Array.from({ length: subject.layers }, (_, layer) => {
    const here = cuts.flatMap((cut, i) =>
      cut.kind === "block" && cut.layers.has(layer) ? [{ edges: cut.edges, i }] : [],
    );
    const key = here.map(({ i }) => i).join();
    const known = counted.get(key);
    if (known !== undefined) return known;
    const row = new Uint8Array(subject.length);
    let total = 0;
    for (let query = 0; query < subject.length; query++) {
      row.fill(0);
      for (const { edges } of here) {
        forEachBlockedKey(edges, query, (k) => {
          row[k] = 1;
        });
      }
      for (let k = 0; k <= query; k++) total += row[k] ?? 0;
    }
    counted.set(key, total);
    return total;
  });
}

/**
 * The control: as many edges cut in each layer, drawn uniformly without replacement among the causal
 * edges with both ends in video … last.
 */
function randomControl(subject: Subject, perLayer: readonly number[], seed: number): Branch {
  const start = groupOf(subject, "video")[0] ?? 0;
  const side = subject.length - start;
  const pool = (side * (side + 1)) / 2;
  const next = randomSource(seed);
  const interventions: Intervention[] = [];
  perLayer.forEach((wanted, layer) => {
    const count = Math.min(wanted, pool);
    if (count === 0) return;
    const rows = new Map<number, number[]>();
    // Selection sampling: each edge in turn is taken with the chance that leaves all draws equal.
    let left = count;
    let seen = 0;
    for (let query = start; query < subject.length; query++) {
      for (let key = start; key <= query; key++, seen++) {
        if (next() * (pool - seen) >= left) continue;
        const row = rows.get(query);
        if (row === undefined) rows.set(query, [key]);
        else row.push(key);
        left--;
      }
    }
    const listed = new Map([...rows].map(([query, keys]) => [query, Int32Array.from(keys)]));
    interventions.push({
      kind: "block",
      edges: { kind: "listed", rows: listed },
      layers: new Set([layer]),
    });
  });
  return { interventions };
}
