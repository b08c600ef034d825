import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { CancelledError, InputError } from "../../src/common/errors.ts";
import { planSearch } from "../../src/engine/experiments/find-pathway.ts";
import { type JudgedPathway, searchPathway } from "../../src/engine/experiments/pathway-search.ts";
import { PathwaySpace } from "../../src/engine/experiments/pathway-space.ts";
import { planPathways } from "../../src/engine/experiments/pathways.ts";
import type { ExperimentContext } from "../../src/engine/experiments/plan.ts";
import { type PreparedPrompt, runExperiments } from "../../src/engine/experiments/run.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { forEachBlockedKey } from "../../src/engine/trace/interventions.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import type { KeptRanges, LayerRange } from "../../src/protocol/experiments/schemas.ts";
import { keepsAnswer, pathwayPoints, TRIED_SERIES } from "../../src/protocol/pathways.ts";
import { DEFAULT_MAX_CANDIDATES } from "../../src/protocol/presets.ts";
import { naiveForward } from "../support/naive.ts";
import { Noise, randomCheckpoint } from "../support/random-checkpoint.ts";

const LAYERS = 4;
const LENGTH = 18;
const HIDDEN = 32;
const VOCAB = 30;
const PROBABILITY_TOLERANCE = 1e-5;
const SETTINGS = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;
const SEEDS = [1, 2, 3, 4, 5, 6];
const SHARES = [0.5, 0.7, 0.9, 0.95];

const positions = (start: number, end: number) =>
  Int32Array.from({ length: end - start }, (_, i) => start + i);
/** A prompt of two system tokens, three frames of three, a question, one more, and the last. */
const context: ExperimentContext = {
  groups: new Map([
    ["system", positions(0, 2)],
    ["video", positions(2, 11)],
    ["frame:0", positions(2, 5)],
    ["frame:1", positions(5, 8)],
    ["frame:2", positions(8, 11)],
    ["question", positions(11, 16)],
    ["last", positions(17, 18)],
  ]),
  length: LENGTH,
  layers: LAYERS,
  heads: 4,
};

/** A random decoder with a prompt whose embeddings are large, so that a cut changes the answer little. */
interface SearchCase {
  readonly model: OpenModel;
  readonly prompt: PreparedPrompt;
}

describe("the search for the smallest pathway, on random decoders", () => {
  let folder: string;
  const cases: SearchCase[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "flowprobe-search-"));
    for (const seed of SEEDS) {
      const sizes = { hidden: HIDDEN, inner: 40, heads: 4, kvHeads: 4, headDim: 8, vocab: VOCAB };
      const checkpoint = await randomCheckpoint(folder, {
        ...sizes,
        layers: LAYERS,
        dtype: "F32",
        seed,
      });
      const model = await OpenModel.open(await readModelSpec(checkpoint), SETTINGS);
      const prompt: PreparedPrompt = {
        embeddings: new Noise(seed + 100).draw(LENGTH * HIDDEN, 6),
        length: LENGTH,
        options: [],
        truthId: undefined,
        tokenText: (id) => `t${id}`,
        observer: () => ({ headAveraged: true }),
      };
      cases.push({ model, prompt });
    }
  });
  after(async () => {
    for (const { model } of cases) await model.release();
    rmSync(folder, { recursive: true });
  });

  const first = (): SearchCase => cases[0] ?? assert.fail("there is a model");

  async function search(
    { model, prompt }: SearchCase,
    keepShare: number,
    {
      maxCandidates = 1000,
      randomSeed,
      signal = new AbortController().signal,
      take,
    }: {
      maxCandidates?: number;
      randomSeed?: number;
      signal?: AbortSignal;
      take?: (event: RunEvent) => void;
    } = {},
  ): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    const request = { kind: "pathway-search", keepShare, maxCandidates, randomSeed } as const;
    const planned = planSearch(request, context);
    const settings = { memoryBudgetBytes: SETTINGS.memoryBudgetBytes, signal };
    await planned.run("s", {
      model,
      prompt,
      decode: () => assert.fail("a search decodes nothing"),
      settings,
      sink: (event) => {
        events.push(event);
        take?.(event);
      },
    });
    return events;
  }

  test("everything told equals one masked full forward, and what is found keeps the answer", async () => {
    let successes = 0;
    for (const searchCase of cases) {
      const events = await search(searchCase, 0.9, { randomSeed: 0 });
      const results = of(events, "branch.result");
      const clean = await naive(searchCase, "clean");
      for (const point of pathwayPoints(results)) {
        const kept = keptOf(point.ranges);
        const alone = await naive(searchCase, kept, clean.id);
        assert.ok(Math.abs(alone.probability - point.result.new_score) < PROBABILITY_TOLERANCE);
        assert.equal(`t${alone.id}`, point.result.new_answer);
        assert.ok(Math.abs(countedShare(kept) - point.edgesLeft) < 1e-12);
      }
      const [end] = of(events, "pathway.found");
      assert.equal(end?.tried, results.filter(({ series }) => series === TRIED_SERIES).length);
      const { found } = end ?? {};
      if (found === null || found === undefined) {
        assert.ok(!results.some((result) => keepsAnswer(result, 0.9)));
        continue;
      }
      successes++;
      const alone = await naive(searchCase, keptOf(found), clean.id);
      assert.equal(alone.id, clean.id);
      assert.ok(alone.probability >= 0.9 * clean.probability - PROBABILITY_TOLERANCE);
      // As it was run once more, with as many edges cut at random beside it.
      const [again, random] = results.slice(-2);
      assert.equal(again?.new_score, found.probability);
      assert.equal(again?.edges_left, found.edgesLeft);
      assert.equal(random?.series, "Random edges");
      assert.equal(random?.edges_left, found.edgesLeft);
    }
    assert.ok(successes >= SEEDS.length - 1);
  });

  test("nothing that was tried is smaller than what is found and keeps the answer", async () => {
    for (const keepShare of SHARES) {
      const events = await search(first(), keepShare);
      const [end] = of(events, "pathway.found");
      const smallest = Math.min(
        ...pathwayPoints(of(events, "branch.result"))
          .filter(({ result }) => keepsAnswer(result, keepShare))
          .map(({ edgesLeft }) => edgesLeft),
      );
      assert.equal(end?.found?.edgesLeft, smallest);
    }
  });

  test("every point of the curve is what the pathway gives by itself", async () => {
    const { model, prompt } = cases[1] ?? first();
    const points = pathwayPoints(of(await search({ model, prompt }, 0.9), "branch.result"));
    assert.ok(points.length >= 8);
    for (const { ranges, result } of points) {
      const plan = planPathways({ kind: "pathways", ...keptOf(ranges) }, context);
      const alone: RunEvent[] = [];
      const settings = { memoryBudgetBytes: 1e9, signal: new AbortController().signal };
      const experiment = { id: "p", plan };
      await runExperiments(model, prompt, undefined, [experiment], settings, (event) =>
        alone.push(event),
      );
      const [single] = of(alone, "branch.result");
      assert.ok(single !== undefined);
      assert.ok(Math.abs(single.new_score - result.new_score) < PROBABILITY_TOLERANCE);
      assert.equal(single.new_answer, result.new_answer);
      assert.equal(single.edges_left, result.edges_left);
    }
  });

  test("beside the smallest of all ranges, what is found is nearly always the same", async (t) => {
    const gaps: number[] = [];
    let all = 0;
    for (const searchCase of cases) {
      const known = await everyPathway(searchCase);
      all = known.size;
      const space = new PathwaySpace(context);
      for (const share of SHARES) {
        const judge = (kept: KeptRanges): JudgedPathway => {
          const judged = known.get(keyOf(kept)) ?? assert.fail(keyOf(kept));
          return { ...judged, kept, keeps: judged.keeps && judged.share >= share };
        };
        const { keeping } = await searchPathway(
          { layers: LAYERS, edgesLeft: (kept) => space.edgesLeft(kept) },
          1000,
          (candidates) => Promise.resolve(candidates.map(judge)),
        );
        const smallest = Math.min(
          ...[...known.values()]
            .filter((one) => one.keeps && one.share >= share)
            .map(({ edgesLeft }) => edgesLeft),
        );
        // Where nothing keeps the answer, nothing can be missed.
        gaps.push(smallest > 1 ? 0 : (keeping[0]?.edgesLeft ?? 1) - smallest);
      }
    }
    const missed = gaps.filter((gap) => gap > 1e-12);
    t.diagnostic(
      `of ${gaps.length} searches over ${all} pathways each, ${gaps.length - missed.length} found the ` +
        `smallest; edges too many of the others: ${missed.map((gap) => `${(100 * gap).toFixed(1)} %`).join(", ") || "none missed"}`,
    );
    assert.ok(Math.min(...gaps) >= -1e-12);
    assert.ok(missed.length <= gaps.length / 10, "one in ten at most");
    assert.ok(Math.max(...gaps) < 0.1);
  });

  test("two searches tell the same", async () => {
    const told = async () =>
      (await search(first(), 0.8, { randomSeed: 0 })).map((event) =>
        event.type === "experiment.finished" ? { ...event, seconds: 0 } : event,
      );
    assert.deepEqual(await told(), await told());
  });

  test("a limit is kept, and said", async () => {
    const events = await search(first(), 0.9, { maxCandidates: 9 });
    const [end] = of(events, "pathway.found");
    assert.deepEqual([end?.tried, end?.ended], [9, "limit"]);
    const whole = of(await search(first(), 0.9), "pathway.found")[0];
    assert.equal(whole?.ended, "local");
  });

  test("where nothing keeps the answer, nothing is found", async () => {
    // More than the clean run's probability, which some cut may exceed but none of this prompt's does.
    const { model, prompt } = first();
    const peaked = { ...prompt, embeddings: new Noise(101).draw(LENGTH * HIDDEN, 1) };
    const events = await search({ model, prompt: peaked }, 1);
    const [end] = of(events, "pathway.found");
    assert.equal(end?.found, null);
    assert.ok((end?.tried ?? 0) > 8);
  });

  test("a search that is stopped has told what it tried until then", async () => {
    const abort = new AbortController();
    const events: RunEvent[] = [];
    await assert.rejects(
      search(first(), 0.9, {
        signal: abort.signal,
        take: (event) => {
          events.push(event);
          if (event.type === "branch.result" && of(events, "branch.result").length === 12) {
            abort.abort();
          }
        },
      }),
      CancelledError,
    );
    assert.ok(of(events, "branch.result").length >= 12);
    assert.equal(of(events, "pathway.found").length, 0);
    assert.equal(of(events, "experiment.finished").length, 0);
  });

  test("a share or a limit that makes no sense is refused by name", () => {
    const plan = (keepShare: number, maxCandidates: number) =>
      planSearch({ kind: "pathway-search", keepShare, maxCandidates }, context);
    for (const share of [0.49, 1.01, Number.NaN]) {
      assert.throws(() => plan(share, 10), { name: InputError.name, message: /from 0.5 to 1/ });
    }
    assert.throws(() => plan(0.9, 0), { name: InputError.name, message: /at least one/ });
    const groups = new Map([...context.groups].filter(([name]) => name !== "question"));
    assert.throws(
      () =>
        planSearch(
          { kind: "pathway-search", keepShare: 0.9, maxCandidates: 9 },
          {
            ...context,
            groups,
          },
        ),
      /no token group "question"/,
    );
  });
});

test("a search on many layers tries far fewer pathways than there are", async () => {
  const layers = 32;
  // Ten layers of each family are needed, as in the paper's table; every other edge is free.
  const needed = {
    crossFrame: [5, 14],
    videoToQuestion: [5, 19],
    questionToLast: [15, 24],
  } as const;
  const { keeping, tried, ended } = await searchPathway(ideal(layers), 1000, (candidates) =>
    Promise.resolve(
      candidates.map((kept) => {
        const share = keptShare(kept, needed);
        return { kept, edgesLeft: ideal(layers).edgesLeft(kept), share, keeps: share >= 0.99 };
      }),
    ),
  );
  assert.deepEqual(keeping[0]?.kept, needed);
  assert.equal(ended, "local");
  assert.ok(tried < DEFAULT_MAX_CANDIDATES, `${tried} tried`);
});

test("a search tries each pathway once, within the layers, up to its limit, whatever it is told", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(),
      async (layers, limit, seed) => {
        const next = new Noise(seed).next;
        const seen = new Set<string>();
        const outcome = await searchPathway(ideal(layers), limit, (candidates) =>
          Promise.resolve(
            candidates.map((kept) => {
              assert.ok(!seen.has(keyOf(kept)), `${keyOf(kept)} again`);
              seen.add(keyOf(kept));
              for (const range of Object.values(kept)) {
                if (range === undefined) continue;
                assert.ok(range[0] >= 0 && range[0] <= range[1] && range[1] < layers);
              }
              const share = next();
              return { kept, edgesLeft: ideal(layers).edgesLeft(kept), share, keeps: share > 0.5 };
            }),
          ),
        );
        assert.equal(outcome.tried, seen.size);
        assert.ok(seen.size <= limit);
        const edges = outcome.keeping.map(({ edgesLeft }) => edgesLeft);
        assert.deepEqual(
          edges,
          edges.toSorted((a, b) => a - b),
        );
      },
    ),
    { seed: 7, numRuns: 60 },
  );
});

function of<T extends RunEvent["type"]>(events: readonly RunEvent[], type: T): RunEventOf<T>[] {
  return events.filter((event): event is RunEventOf<T> => event.type === type);
}

function keptOf(
  ranges: {
    readonly [F in keyof KeptRanges]-?: readonly [number, number] | null;
  },
): KeptRanges {
  return {
    crossFrame: ranges.crossFrame ?? undefined,
    videoToQuestion: ranges.videoToQuestion ?? undefined,
    questionToLast: ranges.questionToLast ?? undefined,
  };
}

function keyOf({ crossFrame, videoToQuestion, questionToLast }: KeptRanges): string {
  return JSON.stringify([crossFrame, videoToQuestion, questionToLast]);
}

/** A pathway alone (or the clean run) by the naive executor: its answer, and the probability of `id`. */
async function naive({ model, prompt }: SearchCase, kept: KeptRanges | "clean", id?: number) {
  const interventions = kept === "clean" ? [] : new PathwaySpace(context).cuts(kept);
  let row = new Float32Array();
  await naiveForward(model, prompt.embeddings, { interventions }, (_, hidden) => {
    row = hidden.slice((LENGTH - 1) * HIDDEN);
  });
  const vocabulary = positions(0, VOCAB);
  const { topIds, chosen } = await unembed(model, row, [true], { k: 1, chosen: vocabulary });
  const answer = topIds[0] ?? -1;
  return { id: answer, probability: chosen[id ?? answer] ?? Number.NaN };
}

/** Share of edges left, by going through every edge of every layer. */
function countedShare(kept: KeptRanges): number {
  const cuts = new PathwaySpace(context).cuts(kept);
  let blocked = 0;
  for (let layer = 0; layer < LAYERS; layer++) {
    const edges = new Set<number>();
    for (const cut of cuts) {
      if (cut.kind !== "knockout" || !cut.layers.has(layer)) continue;
      for (let query = 0; query < LENGTH; query++) {
        forEachBlockedKey(cut.edges, query, (key) => edges.add(query * LENGTH + key));
      }
    }
    blocked += edges.size;
  }
  return 1 - blocked / ((LAYERS * LENGTH * (LENGTH + 1)) / 2);
}

/** Every pathway there is, by its ranges; `keeps` says only that the answer is the clean one. */
async function everyPathway({ model, prompt }: SearchCase): Promise<Map<string, JudgedPathway>> {
  const space = new PathwaySpace(context);
  const ranges = (end: number): (LayerRange | undefined)[] => [
    undefined,
    ...Array.from({ length: end + 1 }, (_, a) => a).flatMap((a) =>
      Array.from({ length: end - a + 1 }, (_, i): LayerRange => [a, a + i]),
    ),
  ];
  // Cross-frame edges beyond the video → question range are cut by themselves.
  const all = ranges(LAYERS - 1).flatMap((videoToQuestion) =>
    ranges(videoToQuestion?.[1] ?? -1).flatMap((crossFrame) =>
      ranges(LAYERS - 1).map((questionToLast) => ({ crossFrame, videoToQuestion, questionToLast })),
    ),
  );
  const points = all.map((kept) => space.point(kept, "p"));
  const plan = { recorded: { kind: "pathways", recipe: {} } as const, points, notices: [] };
  const results: RunEventOf<"branch.result">[] = [];
  const settings = { memoryBudgetBytes: 1e9, signal: new AbortController().signal };
  const experiment = { id: "p", plan };
  await runExperiments(model, prompt, undefined, [experiment], settings, (event) => {
    if (event.type === "branch.result") results.push(event);
  });
  return new Map(
    all.map((kept, i) => {
      const result = results[i] ?? assert.fail("one result for each");
      const share = result.new_score / result.base_score;
      const keeps = keepsAnswer(result, 0);
      return [keyOf(kept), { kept, edgesLeft: result.edges_left ?? 1, share, keeps }];
    }),
  );
}

/** Edges in proportion to the layers kept, cross-frame ones five times as many. */
function ideal(layers: number) {
  const length = (range: LayerRange | undefined) =>
    range === undefined ? 0 : range[1] - range[0] + 1;
  return {
    layers,
    edgesLeft: ({ crossFrame, videoToQuestion, questionToLast }: KeptRanges) =>
      (5 * length(crossFrame) + 2 * length(videoToQuestion) + length(questionToLast)) /
      (8 * layers),
  };
}

/** How much of some needed ranges a pathway keeps. */
function keptShare(kept: KeptRanges, needed: Required<KeptRanges>): number {
  let all = 0;
  let there = 0;
  for (const family of ["crossFrame", "videoToQuestion", "questionToLast"] as const) {
    const want = needed[family];
    const range = kept[family];
    if (want === undefined) continue;
    for (let layer = want[0]; layer <= want[1]; layer++) {
      all++;
      if (range !== undefined && layer >= range[0] && layer <= range[1]) there++;
    }
  }
  return there / all;
}
