import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import type { KnockoutTarget } from "../../src/protocol/vocabulary.ts";
import { alignLayers } from "../../src/runs/comparison/align.ts";
import {
  alignRuns,
  compareAnswers,
  compareMass,
  compareSweeps,
  massQueries,
  usualSubject,
} from "../../src/runs/comparison/compare.ts";
import { contrastsOf, promptsDiffer } from "../../src/runs/comparison/contrasts.ts";
import { type RunFacts, runFacts } from "../../src/runs/comparison/facts.ts";
import { compareLines, farthest } from "../../src/runs/comparison/lines.ts";
import { missingOf } from "../../src/runs/comparison/missing.ts";
import { comparisonReport } from "../../src/runs/comparison/report.ts";
import { answerWords, compareWords, wordLists } from "../../src/runs/comparison/words.ts";
import { parseWords, wordOf } from "../../src/runs/words.ts";

type Started = RunEventOf<"run.started">;
type Clean = RunEventOf<"layer.clean">;

const OPTIONS = [
  { label: "A", text: "Moves up", tokenId: 1 },
  { label: "B", text: "Moves down", tokenId: 2 },
];

function started(layers: number, change: Partial<Started> = {}): Started {
  return {
    type: "run.started",
    format: "flowprobe-run",
    version: 1,
    time: "2026-01-01T00:00:00.000Z",
    model: {
      name: "tiny",
      folder: "/models/tiny",
      embedded: false,
      family: "pllava",
      layers,
      heads: 2,
      kvHeads: 2,
      hiddenSize: 8,
      vocabSize: 9,
      dtype: "float32",
      tokensPerFrame: 2,
    },
    video: {
      path: "/clips/a.mp4",
      width: 8,
      height: 8,
      frameCount: 4,
      fps: 2,
      durationSeconds: 2,
      codec: "h264",
      frames: [
        { index: 0, timestampSeconds: 0 },
        { index: 2, timestampSeconds: 1 },
      ],
      crop: { x: 0, y: 0, width: 8, height: 8 },
    },
    prompt: {
      text: "USER: <image> Which way?",
      question: "Which way?",
      options: OPTIONS,
      answer: "A",
      keywords: [],
      template: "pllava",
    },
    tokens: {
      length: 9,
      text: [],
      groups: [],
      grid: { frames: 2, rows: 1, columns: 2 },
    },
    ...change,
  };
}

function clean(layer: number, a: number, more: Partial<Clean> = {}): Clean {
  return {
    type: "layer.clean",
    layer,
    normed: {
      options: { A: a, B: 1 - a },
      top: [{ id: 7, token: " yes", probability: 0.5 }],
    },
    raw: { options: { A: a / 2, B: 0 }, top: [] },
    ...more,
  };
}

const answer = (token: string, probability: number, correct: boolean): RunEvent => ({
  type: "answer",
  answer: { id: token === "A" ? 1 : 2, token, probability },
  options: {},
  correct,
});

/** A sweep of one series; `changes` by centre in percent, `truth` for the true option. */
function sweep(
  id: string,
  series: string,
  changes: readonly number[],
  {
    window = 9,
    target = "vql-to-ql" as KnockoutTarget,
    finished = true,
    kind = "knockout" as const,
  } = {},
): RunEvent[] {
  return [
    {
      type: "experiment.started",
      experiment: id,
      kind,
      recipe: { targets: [target], window, style: "center" },
      branches: changes.length,
    },
    ...changes.map(
      (change, layer): RunEvent => ({
        type: "branch.result",
        experiment: id,
        series,
        layer,
        window: [[0, 1]],
        base_score: 0.8,
        new_score: 0.8 * (1 + change / 100),
        relative_diff: change,
        gt_score: 0.4,
        new_score_gt: 0.2,
        relative_diff_gt: change / 2,
        base_answer: "A",
        new_answer: "B",
        options: {},
        detail: { target },
      }),
    ),
    ...(finished
      ? [{ type: "experiment.finished", experiment: id, seconds: 1 } satisfies RunEvent]
      : []),
  ];
}

function facts(events: readonly RunEvent[]): RunFacts {
  const found = runFacts(events);
  assert.ok(found !== null);
  return found;
}

const near = (got: readonly (number | null)[] | null | undefined, wanted: (number | null)[]) => {
  assert.equal(got?.length, wanted.length);
  wanted.forEach((value, i) => {
    const is = got?.[i] ?? null;
    if (value === null) assert.equal(is, null, `at ${i}`);
    else assert.ok(is !== null && Math.abs(is - value) < 1e-6, `at ${i}: ${is}, not ${value}`);
  });
};

test("runs of one depth are aligned layer by layer", () => {
  const { layers, relative, own } = alignLayers([3, 3]);
  assert.deepEqual(
    { layers, relative, own },
    {
      layers: 3,
      relative: false,
      own: [
        [0, 1, 2],
        [0, 1, 2],
      ],
    },
  );
});

test("other depths are matched by relative depth: first with first, last with last, none made up", () => {
  // 6 layers against 4: (l + 1) / 6 · 4 = 0.67, 1.33, 2, 2.67, 3.33, 4, rounded, less one.
  const { layers, relative, own } = alignLayers([4, 6]);
  assert.equal(layers, 6);
  assert.equal(relative, true);
  assert.deepEqual(own, [
    [0, 0, 1, 2, 2, 3],
    [0, 1, 2, 3, 4, 5],
  ]);
  const [small, large] = alignLayers([32, 40]).own;
  assert.equal(small?.[0], 0);
  assert.equal(small?.at(-1), 31);
  assert.equal(new Set(small).size, 32, "every layer of the shallower run is shown");
  assert.deepEqual(
    large,
    Array.from({ length: 40 }, (_, i) => i),
  );
});

test("the true option's probability is that of each run's own label, and differences are to run 1", () => {
  const one = facts([started(2), clean(0, 0.25), clean(1, 0.75)]);
  const other = started(2);
  const two = facts([
    { ...other, prompt: { ...other.prompt, answer: "B" } },
    clean(0, 0.5),
    clean(1, 0.125),
  ]);
  const runs = [one, two];
  assert.deepEqual(usualSubject(runs), { kind: "truth" });
  const truth = compareAnswers(runs, alignRuns(runs), { kind: "truth" }, "normed");
  near(truth.values[0], [0.25, 0.75]);
  near(truth.values[1], [0.5, 0.875]);
  assert.equal(truth.differences[0], null);
  near(truth.differences[1], [0.25, 0.125]);
  const same = compareAnswers(runs, alignRuns(runs), { kind: "token", token: "A" }, "raw");
  near(same.values[1], [0.25, 0.0625]);
  near(same.differences[1], [0.125, -0.3125]);
});

test("an answer that is no option is read among the likeliest tokens, and unknown elsewhere", () => {
  const open = started(2);
  const run = facts([
    { ...open, prompt: { ...open.prompt, options: [], answer: "yes" } },
    clean(0, 0.2, { normed: { options: {}, top: [{ id: 7, token: " yes", probability: 0.5 }] } }),
    clean(1, 0.2, { normed: { options: {}, top: [{ id: 8, token: " no", probability: 0.5 }] } }),
    answer(" yes", 0.9, true),
  ]);
  const runs = [run, run];
  const subject = usualSubject(runs);
  assert.deepEqual(subject, { kind: "token", token: "yes" });
  const { values } = compareAnswers(runs, alignRuns(runs), subject, "normed");
  near(values[0], [0.5, null]);
});

test("a layer that is told again by a later observation counts once, and layers outside are left out", () => {
  const run = facts([started(2), clean(0, 0.25), clean(1, 0.5), clean(0, 0.25), clean(99, 1)]);
  assert.equal(run.layers.length, 2);
  assert.equal(run.layers[0]?.normed.options.A, 0.25);
  assert.equal(run.status, "unfinished");
  assert.equal(runFacts([]), null);
});

test("a series is compared where runs hold it; changes are percent and differences points", () => {
  const one = facts([
    started(2),
    ...sweep("k-1", "Video -/-> Question", [-40, -10]),
    ...sweep("k-2", "Video -/-> Last", [-4, -2]),
  ]);
  const two = facts([
    started(2),
    ...sweep("k-1", "Video -/-> Question", [-15.5, -30], { window: 5 }),
  ]);
  const runs = [one, two];
  const [question, last] = compareSweeps(runs, alignRuns(runs), "answer");
  assert.equal(question?.name, "Video -/-> Question");
  near(question?.differences[1], [24.5, -20]);
  assert.equal(question?.sameSettings, false);
  assert.deepEqual(question?.settings, ["window 9, center", "window 5, center"]);
  assert.equal(last?.values[1], null);
  assert.equal(last?.differences[1], null);
  assert.equal(last?.sameSettings, true);
  assert.deepEqual(farthest(question?.differences[1] ?? null), { layer: 0, value: 24.5 });
  const [truth] = compareSweeps(runs, alignRuns(runs), "truth");
  near(truth?.values[0], [-20, -5]);
});

test("of sweeps that were made again the last whole one counts; one that was stopped does not replace it", () => {
  const name = "Video -/-> Question";
  const run = facts([
    started(2),
    ...sweep("k-1", name, [-1, -1]),
    ...sweep("k-2", name, [-2, -2]),
    ...sweep("k-3", name, [-3], { finished: false }),
  ]);
  assert.deepEqual(
    run.series[0]?.points.map((point) => point?.change),
    [-2, -2],
  );
  const stopped = facts([started(2), ...sweep("k-1", name, [-3], { finished: false })]);
  assert.deepEqual(
    stopped.series[0]?.points.map((point) => point?.change ?? null),
    [-3, null],
  );
});

test("group mass is the mean over heads, and single frames are no groups of a comparison", () => {
  const mass = (a: number, b: number): Partial<Clean> => ({
    mass: {
      queryGroups: ["frame:0", "last"],
      keyGroups: ["video", "last", "frame:0"],
      mass: {
        dtype: "f32",
        shape: [2, 2, 3],
        data: Float32Array.from([9, 9, 9, a, 1 - a, 9, 9, 9, 9, b, 1 - b, 9]),
      },
    },
  });
  const one = facts([started(2), clean(0, 0.5, mass(0.25, 0.5)), clean(1, 0.5)]);
  const two = facts([started(2), clean(0, 0.5, mass(0.5, 1)), clean(1, 0.5, mass(0, 0.5))]);
  const runs = [one, two];
  assert.deepEqual(massQueries(runs), ["last"]);
  const [video, last] = compareMass(runs, alignRuns(runs), "last");
  assert.equal(video?.name, "video");
  near(video?.values[0], [0.375, null]);
  near(video?.values[1], [0.75, 0.25]);
  near(video?.differences[1], [0.375, null]);
  near(last?.values[1], [0.25, 0.75]);
});

/** A lens reading of four video tokens whose likeliest ids are given, two ids a token. */
function lens(ids: readonly number[]): Partial<Clean> {
  const shape = [ids.length, 2];
  return {
    lens: {
      positions: [[2, 2 + ids.length]],
      norm: true,
      unembedding: "head",
      ids: { dtype: "i32", shape, data: Int32Array.from(ids.flatMap((id) => [id, 5])) },
      probabilities: { dtype: "f32", shape, data: new Float32Array(2 * ids.length) },
    },
  };
}

const vocabulary: RunEvent = {
  type: "vocabulary",
  tokens: [
    { id: 3, text: "▁Up" },
    { id: 4, text: "Ġcircle" },
    { id: 5, text: "the" },
    { id: 6, text: "__proto__" },
  ],
};

test("words of the lens are counted over video tokens, with the layers at which they appear", () => {
  const run = facts([
    started(3),
    vocabulary,
    clean(0, 0.5, lens([4, 4, 5, 5])),
    clean(1, 0.5, lens([4, 3, 5, 6])),
    clean(2, 0.5, lens([3, 3, 3, 5])),
    // Asked for again: the same positions are not counted twice.
    clean(2, 0.5, lens([3, 3, 3, 5])),
  ]);
  const without = facts([started(3), clean(0, 0.5)]);
  const runs = [run, without];
  const lists = wordLists(runs, { spatial: ["circle"], temporal: parseWords("up, Down") });
  assert.deepEqual(
    lists.map(({ name }) => name),
    ["right answer's word", "given answer's word", "spatial words", "temporal words"],
  );
  const found = lists.map((list) => compareWords(runs, alignRuns(runs), list));
  const [right, , spatial, temporal] = found;
  assert.deepEqual(right?.words, [["up"], ["up"]]);
  near(right?.values[0], [0, 0.25, 0.75]);
  near(spatial?.values[0], [0.5, 0.25, 0]);
  near(temporal?.values[0], [0, 0.25, 0.75]);
  assert.deepEqual(right?.first, [1, null]);
  assert.deepEqual(right?.peak, [2, null]);
  assert.deepEqual(spatial?.first, [0, null]);
  assert.equal(right?.values[1], null);
  assert.equal(run.lens?.tokens, 4);
});

test("an answer's words are those of its option that no other option has", () => {
  const { prompt } = facts([started(1)]);
  assert.deepEqual(answerWords(prompt, "A"), ["up"]);
  assert.deepEqual(answerWords(prompt, " B"), ["down"]);
  assert.deepEqual(answerWords({ options: [] }, "A red ball"), ["a", "red", "ball"]);
  assert.deepEqual(answerWords({ options: [] }, undefined), []);
  assert.equal(wordOf("▁Up"), "Up");
});

test("what differs between runs is told, and what does not is not", () => {
  const one = started(2);
  const two: Started = { ...one, video: { ...one.video, order: "reversed" } };
  const contrasts = contrastsOf([facts([one]), facts([two])]);
  assert.deepEqual(contrasts.different, [
    { what: "frame order", values: ["as filmed", "reversed"] },
  ]);
  assert.ok(contrasts.same.includes("question") && contrasts.same.includes("model"));
  assert.equal(promptsDiffer([facts([one]), facts([two])]), false);
  const three: Started = { ...one, prompt: { ...one.prompt, text: "SYSTEM. USER: …" } };
  const other = contrastsOf([facts([one]), facts([three])]);
  assert.deepEqual(
    other.different.map(({ what }) => what),
    ["rendered prompt"],
  );
  assert.equal(promptsDiffer([facts([one]), facts([three])]), true);
});

test("what a run lacks is named, with the experiment that measures it as the other run did", () => {
  const one = facts([
    started(2),
    vocabulary,
    clean(0, 0.5, lens([4, 4, 5, 5])),
    ...sweep("k-1", "Video -/-> Question", [-1, -1], { window: 5 }),
    ...sweep("k-2", "Video -/-> True option", [-1, -1], { window: 5, target: "vq-to-true-opt" }),
  ]);
  const two = facts([started(2), clean(0, 0.5)]);
  assert.deepEqual(missingOf([one, two]), [
    {
      run: 1,
      what: "series",
      series: ["Video -/-> Question", "Video -/-> True option"],
      request: {
        kind: "knockout",
        targets: ["vql-to-ql", "vq-to-true-opt"],
        window: 5,
        style: "center",
      },
    },
    { run: 1, what: "lens" },
  ]);
  const begun = started(2);
  const open = facts([{ ...begun, prompt: { ...begun.prompt, options: [] } }, clean(0, 0.5)]);
  const lacks = missingOf([one, open]).flatMap((missing) =>
    missing.what === "series" ? [[missing.series, missing.request?.kind ?? null]] : [],
  );
  assert.deepEqual(lacks, [
    [["Video -/-> Question"], "knockout"],
    [["Video -/-> True option"], null],
  ]);
});

test("the report holds the same numbers, and is JSON without loss", () => {
  const runs = [
    facts([started(4), clean(0, 0.25), clean(3, 0.75), answer("A", 0.75, true)]),
    facts([started(6), clean(0, 0.5), clean(5, 0.25), answer("B", 0.75, false)]),
  ];
  const report = comparisonReport(runs, ["a", "b"], { spatial: [], temporal: [] });
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
  near(report.answerByLayer[0]?.differences[1], [0.25, null, null, null, null, -0.5]);
  assert.equal(report.alignment.relative, true);
  assert.deepEqual(
    report.runs.map(({ file, answer: said }) => [file, said?.correct]),
    [
      ["a", true],
      ["b", false],
    ],
  );
});

test("lines of another length, and lines that are missing, make no number up", () => {
  const alignment = alignLayers([2, 2, 2]);
  const { values, differences } = compareLines("x", [[1, null], null, [3]], alignment);
  assert.deepEqual(values, [[1, null], null, [3, null]]);
  assert.deepEqual(differences, [null, null, [2, null]]);
  assert.deepEqual(farthest([null, 0.25, -0.5]), { layer: 2, value: -0.5 });
  assert.deepEqual(farthest([0, null]), { layer: 0, value: 0 });
  assert.equal(farthest(null), null);
  assert.equal(farthest([null]), null);
});
