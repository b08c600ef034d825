import { randomSource } from "../../common/random.ts";
import type { KeptRanges } from "../../protocol/experiments/schemas.ts";
import { RANDOM_SERIES } from "../../protocol/pathways.ts";
import type { Branch, EdgeSet, Intervention } from "../trace/interventions.ts";
import { forEachBlockedKey } from "../trace/interventions.ts";
import { crossFrameEdges, edgesBetween } from "./edges.ts";
import { type ExperimentContext, type ExperimentPoint, groupOf, layersIn } from "./plan.ts";

/** Everything that is cut so that only the pathway is left. */
export function pathwayCuts(kept: KeptRanges, context: ExperimentContext): Intervention[] {
  return new PathwaySpace(context).cuts(kept);
}

/** Edges that a pathway cuts where `isCut` says so. */
interface CutFamily {
  readonly edges: EdgeSet;
  isCut(kept: KeptRanges, layer: number): boolean;
}

/**
 * All pathways of one prompt. They share their sets of edges, so that branches of one pass can share
 * masks, and counts of edges are made once.
 */
export class PathwaySpace {
  readonly #context: ExperimentContext;
  readonly #families: readonly CutFamily[];
  /** Edges blocked in a layer, by the families that are cut there. */
  readonly #counts = new Map<string, number>();

  /** @throws InputError when the prompt lacks a token group that pathways are made of. */
  constructor(context: ExperimentContext) {
    this.#context = context;
    const between = (from: string, to: string) => edgesBetween(context, from, to);
    const outside = (family: keyof KeptRanges) => (kept: KeptRanges, layer: number) => {
      const range = kept[family];
      return range === undefined || layer < range[0] || layer > range[1];
    };
    const after = (family: keyof KeptRanges) => (kept: KeptRanges, layer: number) =>
      layer > (kept[family]?.[1] ?? -1);
    const always = () => true;
    this.#families = [
      { edges: between("last", "last"), isCut: always },
      { edges: between("video", "last"), isCut: always },
      ...crossFrameEdges(context).map((edges) => ({ edges, isCut: outside("crossFrame") })),
      { edges: between("video", "question"), isCut: outside("videoToQuestion") },
      { edges: between("question", "last"), isCut: outside("questionToLast") },
      { edges: between("video", "video"), isCut: after("videoToQuestion") },
      { edges: between("question", "question"), isCut: after("questionToLast") },
    ];
  }

  /**
   * Everything that is cut so that only the pathway is left.
   *
   * @throws InputError when a range does not lie within the model's layers.
   */
  cuts(kept: KeptRanges): Intervention[] {
    for (const range of [kept.crossFrame, kept.videoToQuestion, kept.questionToLast]) {
      if (range !== undefined) layersIn(this.#context, range);
    }
    return this.#families.flatMap(({ edges, isCut }) => {
      const layers = new Set(this.#layers().filter((layer) => isCut(kept, layer)));
      return layers.size === 0 ? [] : [{ kind: "knockout" as const, edges, layers }];
    });
  }

  /** For each layer, how many causal edges are cut; each edge counted once. */
  blockedPerLayer(kept: KeptRanges): number[] {
    return this.#layers().map((layer) => {
      const cut = this.#families.filter(({ isCut }) => isCut(kept, layer));
      const key = cut.map((family) => this.#families.indexOf(family)).join();
      const count = this.#counts.get(key) ?? countEdges(cut, this.#context.length);
      this.#counts.set(key, count);
      return count;
    });
  }

  /** Share of the causal edges of all layers that a pathway leaves, of 1. */
  edgesLeft(kept: KeptRanges): number {
    const { layers, length } = this.#context;
    const edges = layers * ((length * (length + 1)) / 2);
    return 1 - this.blockedPerLayer(kept).reduce((sum, count) => sum + count, 0) / edges;
  }

  /** A pathway as a branch of the pass. */
  point(kept: KeptRanges, series: string): ExperimentPoint {
    return this.#point(kept, series, { interventions: this.cuts(kept) });
  }

  /** The control of a pathway: as many edges cut in each layer, at random. */
  control(kept: KeptRanges, seed: number): ExperimentPoint {
    const branch = randomControl(this.#context, this.blockedPerLayer(kept), seed);
    return this.#point(kept, RANDOM_SERIES, branch);
  }

  #point(kept: KeptRanges, series: string, branch: Branch): ExperimentPoint {
    const window: [number, number][] = [[0, this.#context.layers]];
    return { layer: 0, window, edgesLeft: this.edgesLeft(kept), series, branch };
  }

  #layers(): number[] {
    return Array.from({ length: this.#context.layers }, (_, layer) => layer);
  }
}

/** How many causal edges are in any of the sets. */
function countEdges(sets: readonly { readonly edges: EdgeSet }[], length: number): number {
  const row = new Uint8Array(length);
  let total = 0;
  for (let query = 0; query < length; query++) {
    row.fill(0);
    for (const { edges } of sets) {
      forEachBlockedKey(edges, query, (key) => {
        row[key] = 1;
      });
    }
    for (let key = 0; key <= query; key++) total += row[key] ?? 0;
  }
  return total;
}

/**
 * The control: as many edges cut in each layer, drawn uniformly without replacement among the causal
 * edges with both ends in video … last.
 */
function randomControl(
  context: ExperimentContext,
  perLayer: readonly number[],
  seed: number,
): Branch {
  const start = groupOf(context, "video")[0] ?? 0;
  const side = context.length - start;
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
    for (let query = start; query < context.length; query++) {
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
      kind: "knockout",
      edges: { kind: "listed", rows: listed },
      layers: new Set([layer]),
    });
  });
  return { interventions };
}
