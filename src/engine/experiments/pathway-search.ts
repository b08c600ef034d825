import type { KeptRanges, LayerRange } from "../../protocol/experiments/schemas.ts";

/** Pathways that each round goes on from: wider is slower, and less easily misled. */
const BEAM = 3;

/** What the search knows of a pathway before it is run. */
export interface SearchSpace {
  /** L */
  readonly layers: number;
  /** Share of the attention edges left, of 1. */
  edgesLeft(kept: KeptRanges): number;
}

/** A pathway that was run. */
export interface JudgedPathway {
  readonly kept: KeptRanges;
  readonly edgesLeft: number;
  /** Probability of the clean answer, as a share of the clean run's. */
  readonly share: number;
  /** Whether the share is large enough and the predicted answer the clean one. */
  readonly keeps: boolean;
}

/** How a search ended. */
export interface SearchOutcome {
  /** The pathways that keep the answer, fewest edges first. */
  readonly keeping: readonly JudgedPathway[];
  readonly tried: number;
  /**
   * `local`: no pathway that is one step from the best one has fewer edges and keeps the answer.
   * `limit`: as many were tried as allowed, and smaller ones may have been left out.
   */
  readonly ended: "local" | "limit";
}

/**
 * Searches the families' layer ranges for the pathway with the fewest edges that keeps the answer.
 *
 * Two heuristics, one after the other; neither proves that there is nothing smaller. A beam search
 * begins with each family kept everywhere or nowhere. Each round moves every bound of the best
 * pathways inwards by a step, and also drops each family altogether; the steps are halved, from half
 * of the layers to one, when a round finds nothing smaller. While nothing keeps the answer, the round
 * goes on from what keeps most of it. Then a local search tries all that is one step from the best
 * one (see `neighbours`), and begins anew from whatever it finds.
 *
 * @param maxCandidates pathways run at most.
 * @param run runs pathways in one pass, and judges them in their order.
 * @throws whatever `run` throws.
 */
export async function searchPathway(
  space: SearchSpace,
  maxCandidates: number,
  run: (candidates: readonly KeptRanges[]) => Promise<readonly JudgedPathway[]>,
): Promise<SearchOutcome> {
  const search = new Search(space, maxCandidates, run);
  await search.descend();
  await search.refine();
  return search.outcome();
}

class Search {
  readonly #space: SearchSpace;
  readonly #max: number;
  readonly #run: (candidates: readonly KeptRanges[]) => Promise<readonly JudgedPathway[]>;
  readonly #tried = new Map<string, JudgedPathway>();
  #left = false;

  constructor(
    space: SearchSpace,
    max: number,
    run: (candidates: readonly KeptRanges[]) => Promise<readonly JudgedPathway[]>,
  ) {
    this.#space = space;
    this.#max = max;
    this.#run = run;
  }

  async descend(): Promise<void> {
    const all: LayerRange = [0, this.#space.layers - 1];
    let step = Math.max(1, Math.floor(this.#space.layers / 2));
    let beam: KeptRanges[] = [];
    await this.#try(wholeFamilies(all));
    while (!this.#left) {
      const next = this.#best();
      if (next.map(keyOf).join() === beam.map(keyOf).join()) {
        if (step === 1) return;
        step = Math.floor(step / 2);
      }
      beam = next;
      await this.#try(beam.flatMap((kept) => this.#smaller(kept, shrinkings(kept, step))));
    }
  }

  async refine(): Promise<void> {
    for (;;) {
      const [best] = this.#keeping();
      if (best === undefined || this.#left) return;
      const near = this.#smaller(best.kept, neighbours(best.kept, this.#space.layers));
      await this.#try(near);
      if (this.#keeping()[0] === best) return;
    }
  }

  outcome(): SearchOutcome {
    return {
      keeping: this.#keeping(),
      tried: this.#tried.size,
      ended: this.#left ? "limit" : "local",
    };
  }

  /** Pathways to go on from: the smallest that keep the answer, else those that keep most of it. */
  #best(): KeptRanges[] {
    const keeping = this.#keeping();
    const ranked =
      keeping.length > 0 ? keeping : [...this.#tried.values()].sort((a, b) => b.share - a.share);
    return ranked.slice(0, BEAM).map(({ kept }) => kept);
  }

  #keeping(): JudgedPathway[] {
    return [...this.#tried.values()]
      .filter(({ keeps }) => keeps)
      .sort((a, b) => a.edgesLeft - b.edgesLeft || b.share - a.share);
  }

  #smaller(than: KeptRanges, candidates: readonly KeptRanges[]): KeptRanges[] {
    const edges = this.#space.edgesLeft(than);
    return candidates.filter((kept) => this.#space.edgesLeft(normalized(kept)) < edges);
  }

  /** Runs what was not run yet, as far as the limit allows. */
  async #try(candidates: readonly KeptRanges[]): Promise<void> {
    const fresh = new Map<string, KeptRanges>();
    for (const candidate of candidates) {
      const kept = normalized(candidate);
      const key = keyOf(kept);
      if (!this.#tried.has(key)) fresh.set(key, kept);
    }
    const room = this.#max - this.#tried.size;
    if (fresh.size > room) this.#left = true;
    const batch = [...fresh.values()].slice(0, room);
    if (batch.length === 0) return;
    for (const judged of await this.#run(batch)) this.#tried.set(keyOf(judged.kept), judged);
  }
}

const FAMILIES = ["crossFrame", "videoToQuestion", "questionToLast"] as const;
type Family = (typeof FAMILIES)[number];
/** One end of one family's range. */
interface Bound {
  readonly family: Family;
  readonly end: 0 | 1;
}
const BOUNDS: readonly Bound[] = FAMILIES.flatMap((family) => [
  { family, end: 0 } as const,
  { family, end: 1 } as const,
]);

/** Each family kept in all layers or in none: first everything, last nothing. */
function wholeFamilies(all: LayerRange): KeptRanges[] {
  const choices = [all, undefined];
  return choices.flatMap((questionToLast) =>
    choices.flatMap((videoToQuestion) =>
      choices.map((crossFrame) => ({ crossFrame, videoToQuestion, questionToLast })),
    ),
  );
}

/** Every bound moved inwards by some layers, and every family dropped. */
function shrinkings(kept: KeptRanges, step: number): KeptRanges[] {
  return [
    ...FAMILIES.flatMap((family) =>
      kept[family] === undefined ? [] : [{ ...kept, [family]: undefined }],
    ),
    ...BOUNDS.flatMap((bound) => moved(kept, bound, step) ?? []),
  ];
}

/**
 * What is one step away: every bound moved inwards by one layer or a family dropped, alone or with
 * another bound moved outwards by one or two layers; and every range moved along by one layer, alone
 * or with a bound moved inwards.
 */
function neighbours(kept: KeptRanges, layers: number): KeptRanges[] {
  const outwards = BOUNDS.flatMap((bound) =>
    [-1, -2].flatMap((step) => moved(kept, bound, step, layers) ?? []),
  );
  const along = BOUNDS.flatMap(({ family, end }) => {
    const grown = moved(kept, { family, end }, -1, layers);
    return (grown && moved(grown, { family, end: end === 0 ? 1 : 0 }, 1)) ?? [];
  });
  return [kept, ...outwards, ...along].flatMap((from) => [from, ...shrinkings(from, 1)]);
}

/** A bound moved inwards (outwards when negative); undefined where that leaves no range. */
function moved(
  kept: KeptRanges,
  { family, end }: Bound,
  step: number,
  layers = Number.POSITIVE_INFINITY,
): KeptRanges | undefined {
  const range = kept[family];
  if (range === undefined) return undefined;
  const [first, last] = end === 0 ? [range[0] + step, range[1]] : [range[0], range[1] - step];
  if (first < 0 || last < first || last >= layers) return undefined;
  return { ...kept, [family]: [first, last] };
}

/**
 * The same edges under one name. Video tokens read each other no more after the video → question
 * range ends, so cross-frame edges beyond it are cut whatever their own range says.
 */
function normalized({ crossFrame, videoToQuestion, questionToLast }: KeptRanges): KeptRanges {
  const end = videoToQuestion?.[1] ?? -1;
  return {
    crossFrame:
      crossFrame === undefined || crossFrame[0] > end
        ? undefined
        : [crossFrame[0], Math.min(crossFrame[1], end)],
    videoToQuestion,
    questionToLast,
  };
}

function keyOf(kept: KeptRanges): string {
  return FAMILIES.map((family) => kept[family]?.join("-") ?? "").join("/");
}
