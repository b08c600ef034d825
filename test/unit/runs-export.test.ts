import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, test } from "node:test";
import { InputError } from "../../src/common/errors.ts";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import { nested, runRecords, runToJson } from "../../src/runs/exports.ts";
import { answerProbabilityRecords, knockoutRecords } from "../../src/runs/records.ts";
import { ANSWER_PROBABILITY, exportReference } from "../../src/runs/reference.ts";
import { foldRun, type RunState } from "../../src/runs/state.ts";
import { answerByLayerCsv, csv, experimentsCsv } from "../../src/runs/tables.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const folder = await mkdtemp(join(tmpdir(), "flowprobe-export-"));
after(() => rm(folder, { recursive: true, force: true }));

const LAYERS = 3;

/** A hand-made run: one sweep of two series, every figure a number of its own. */
function sample(options: {
  readonly path: string;
  readonly id?: string;
  readonly task?: string;
  readonly correct?: boolean;
  readonly newAnswers?: readonly string[];
}): RunEvent[] {
  const [begun] = syntheticRun();
  assert.ok(begun?.type === "run.started");
  const started: RunEvent = {
    ...begun,
    video: { ...begun.video, path: options.path },
    prompt: {
      ...begun.prompt,
      id: options.id,
      task: options.task,
      text: `the prompt of ${options.path}`,
      options: [
        { label: "A", text: "Up", tokenId: 10 },
        { label: "B", text: "Down", tokenId: 11 },
      ],
      answer: "B",
    },
  };
  const answered = options.correct === false ? "A" : "B";
  const token = { id: answered === "A" ? 10 : 11, token: ` ${answered}`, probability: 0.5 };
  const layers = Array.from({ length: LAYERS }, (_, layer): RunEvent => {
    const top = [token, { id: 99, token: "x", probability: 0.125 }];
    return {
      type: "layer.clean",
      layer,
      normed: { options: { A: 0.1, B: 0.2 + layer / 10 }, top },
      raw: { options: { A: 0.25, B: 0.125 * layer }, top },
    };
  });
  const results = ["Video -/-> Question", "Last -/-> Last"].flatMap((series, s) =>
    Array.from(
      { length: LAYERS },
      (_, layer): RunEvent => ({
        type: "branch.result",
        experiment: "k",
        series,
        layer,
        window: [[layer, layer + 1]],
        base_score: 0.5,
        new_score: 0.25,
        relative_diff: -50,
        gt_score: 0.4,
        new_score_gt: 0.1 * s,
        relative_diff_gt: -75,
        base_answer: ` ${answered}`,
        new_answer: options.newAnswers?.[layer] ?? " B",
        options: { A: 0.25, B: 0.5 },
        detail: { target: "vql-to-ql" },
      }),
    ),
  );
  return [
    started,
    ...layers,
    { type: "answer", answer: token, options: { A: 0.1, B: 0.5 }, correct: answered === "B" },
    {
      type: "experiment.started",
      experiment: "k",
      kind: "knockout",
      recipe: { targets: ["vql-to-ql"], window: 9, style: "center" },
      branches: 6,
    },
    ...results,
    { type: "experiment.finished", experiment: "k", seconds: 1 },
    { type: "run.finished", status: "done", seconds: 2 },
  ];
}

const sampleState = (options: Parameters<typeof sample>[0]): RunState => foldRun(sample(options));

test("a knockout record has the reference's keys, in its units", () => {
  const records = knockoutRecords([sampleState({ path: "/v/a.mp4", id: "17" })], {
    samples: "correct",
  });
  assert.equal(records.length, 6);
  assert.deepEqual(records[4], {
    prompt: "the prompt of /v/a.mp4",
    block_desc: "Last -/-> Last",
    layer: 1,
    base_score: 0.5,
    new_score: 0.25,
    relative_diff: -50,
    gt_score: 0.4,
    new_score_gt: 0.1,
    relative_diff_gt: -75,
    video_path: "/v/a.mp4",
    data_id: 17,
    gt: "B",
    base_answer: "B",
    new_answer: "B",
    acc_base: 100,
    acc: 100,
  });
});

test("accuracies are percentages over all samples, of each series and layer", () => {
  const runs = [
    sampleState({ path: "a", newAnswers: [" B", " A", " A"] }),
    sampleState({ path: "b", newAnswers: [" B", " B", " A"] }),
    sampleState({ path: "c", correct: false, newAnswers: [" B", " B", " B"] }),
    sampleState({ path: "d", correct: false }),
  ];
  const accuracies = (samples: "correct" | "wrong" | "all") => {
    const records = knockoutRecords(runs, { samples });
    assert.ok(records.every((record) => record.acc_base === 50));
    const series = records.filter(({ block_desc }) => block_desc === "Last -/-> Last");
    return [0, 1, 2].map(
      (layer) => new Set(series.filter((r) => r.layer === layer).map((r) => r.acc)),
    );
  };
  assert.deepEqual(accuracies("correct"), [new Set([50]), new Set([25]), new Set([0])]);
  assert.deepEqual(accuracies("all"), [new Set([100]), new Set([75]), new Set([50])]);
  assert.deepEqual(accuracies("wrong"), [new Set([50]), new Set([50]), new Set([50])]);
  assert.equal(knockoutRecords(runs, { samples: "correct" }).length, 12);
  assert.equal(knockoutRecords(runs, { samples: "all" }).length, 24);
  assert.deepEqual(
    new Set(knockoutRecords(runs, { samples: "wrong" }).map(({ data_id }) => data_id)),
    new Set([2, 3]),
  );
});

test("a sample that was run twice, and a sweep that was stopped, are not counted twice", () => {
  const events = sample({ path: "a" });
  const whole = foldRun(events);
  const stopped = foldRun(events.filter(({ type }) => type !== "experiment.finished"));
  const both = knockoutRecords([whole, whole, stopped], { samples: "all" });
  assert.equal(both.length, 6);
  assert.ok(both.every(({ acc_base, acc }) => acc_base === 100 && acc === 100));
});

test("answer probabilities are the raw ones, in percent, the true option first", () => {
  const records = answerProbabilityRecords([sampleState({ path: "/v/a.mp4", id: "x" })], {
    samples: "correct",
  });
  assert.equal(records.length, 2 * LAYERS);
  assert.deepEqual(records[2], {
    prompt: "the prompt of /v/a.mp4",
    layer: 1,
    desc: "True option",
    base_score: 12.5,
    probability: 12.5,
    class: "B",
    video_path: "/v/a.mp4",
    data_id: 0,
    gt: "B",
    base_answer: "B",
    preds_topk: [" B", "x"],
    probs_topk: [50, 12.5],
  });
  assert.deepEqual(records[3]?.desc, "False option");
  assert.deepEqual(records[3]?.probability, 25);
});

/** What the reference's plots do to find a task's records (its `gather_results`). */
function gathered(
  root: string,
  dataset: string,
  model: string,
  task: string,
  target: string,
  wanted: readonly string[],
  correctOnly = true,
): Record<string, unknown>[] {
  const text = readFileSync(join(root, dataset, target, model, `${task}.json`), "utf8");
  const records = JSON.parse(text) as Record<string, unknown>[];
  const key = target === ANSWER_PROBABILITY ? "desc" : "block_desc";
  const lower = (value: unknown) => String(value).toLowerCase();
  return records.filter(
    (record) =>
      (!correctOnly || lower(record.gt) === lower(record.base_answer)) &&
      wanted.includes(String(record[key])),
  );
}

test("the reference's plots and its analysis find their files", async () => {
  const runs = [
    sample({ path: "a", task: "moving direction" }),
    sample({ path: "b", task: "Action Antonym" }),
    sample({ path: "c", task: "home made" }),
  ];
  const target = join(folder, "tv");
  const model = "llava-next-7b-video-ft";
  const options = { dataset: "tvbench", model, samples: "all" } as const;
  const paths = await exportReference(runs, target, options);
  const names = ["00_Action Antonym", "05_Moving Direction", "10_home made"];
  const expected = ["vql-to-ql", ANSWER_PROBABILITY].flatMap((kind) =>
    names.flatMap((name) => [
      join("tvbench", kind, model, `${name}.json`),
      join("tvbench", kind, model, "jsons", `${name}.json`),
    ]),
  );
  assert.deepEqual(paths.map((path) => relative(target, path)).sort(), expected.sort());
  const series = ["Video -/-> Question", "Last -/-> Last"];
  const found = gathered(target, "tvbench", model, "05_Moving Direction", "vql-to-ql", series);
  assert.equal(found.length, 2 * LAYERS);
  for (const { layer, relative_diff, data_id } of found) {
    assert.ok(Number.isInteger(layer) && typeof relative_diff === "number");
    assert.equal(data_id, 0);
  }
  const other = gathered(target, "tvbench", model, "10_home made", "vql-to-ql", series);
  assert.equal(other[0]?.data_id, 2, "counted over all tasks");
  const classes = ["True option", "False option"];
  const task = "00_Action Antonym";
  const answers = gathered(target, "tvbench", model, task, ANSWER_PROBABILITY, classes);
  assert.equal(answers.length, 2 * LAYERS);
  assert.ok(answers.every(({ probability }) => typeof probability === "number"));

  await assert.rejects(exportReference(runs, target, options), /exists already/);
  await exportReference(runs, target, { ...options, overwrite: true });
});

test("tasks of any form of TVBench have its numbers", async () => {
  const wrong = sample({ path: "a", task: "Moving Direction", correct: false });
  const root = join(folder, "fail");
  const options = { dataset: "tvbench-fail", samples: "wrong", layouts: ["plots"] } as const;
  const [path] = await exportReference([wrong], root, { ...options, targets: ["vql-to-ql"] });
  const inside = join("tvbench-fail", "vql-to-ql", "flowprobe-embedded");
  assert.equal(relative(root, path ?? ""), join(inside, "05_Moving Direction.json"));
  const task = "05_Moving Direction";
  const model = "flowprobe-embedded";
  const read = (correctOnly: boolean) =>
    gathered(root, "tvbench-fail", model, task, "vql-to-ql", ["Last -/-> Last"], correctOnly);
  assert.deepEqual([read(true).length, read(false).length], [0, LAYERS]);
});

test("answers by layer are raw, or have the final norm on request", async () => {
  const run = sample({ path: "a", task: "Action Antonym" });
  const read = async (layerNorm: boolean) => {
    const root = join(folder, `norm-${layerNorm}`);
    const options = { dataset: "tvbench", model: "m", samples: "all", layerNorm } as const;
    await exportReference([run], root, { ...options, layouts: ["plots"] });
    const wanted = ["True option"];
    const task = "00_Action Antonym";
    return gathered(root, "tvbench", "m", task, ANSWER_PROBABILITY, wanted).map((r) =>
      Number(r.probability),
    );
  };
  assert.deepEqual(await read(false), [0, 12.5, 25]);
  const normed = await read(true);
  [20, 30, 40].forEach((value, layer) => {
    assert.ok(Math.abs((normed[layer] ?? 0) - value) < 1e-9);
  });
});

test("an answer in the other case is right, as the reference takes it", () => {
  const events = sample({ path: "a" }).map((event): RunEvent => {
    if (event.type !== "answer") return event;
    return { ...event, answer: { ...event.answer, token: "b" }, correct: false };
  });
  const records = knockoutRecords([foldRun(events)], { samples: "correct" });
  assert.equal(records.length, 2 * LAYERS);
  assert.ok(records.every(({ acc_base }) => acc_base === 100));
});

test("without a known benchmark the tasks are numbered by name", async () => {
  const runs = [sample({ path: "a", task: "up/down" }), sample({ path: "b", task: "a first" })];
  const paths = await exportReference(runs, join(folder, "own"), {
    dataset: "../mine",
    targets: ["vql-to-ql"],
    samples: "all",
    layouts: ["analysis"],
  });
  const inside = join(folder, "own", "-mine", "vql-to-ql", "flowprobe-embedded", "jsons");
  assert.deepEqual(paths, [join(inside, "00_a first.json"), join(inside, "01_up-down.json")]);
});

test("an export of nothing says what is missing", async () => {
  const options = { dataset: "d", samples: "correct" } as const;
  const wrong = [sample({ path: "a", correct: false })];
  await assert.rejects(exportReference(wrong, folder, options), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /nothing to export: .* answer is correct/);
    return true;
  });
  await assert.rejects(exportReference([], folder, options), /no run has begun/);
});

test("a run as JSON has its layers, experiments and tensors as plain lists", () => {
  const events = syntheticRun({ lens: true, attention: true, layers: 2, heads: 3 });
  const json = JSON.parse(JSON.stringify(runToJson(events))) as {
    layers: { layer: number; mass: { mass: number[][][] }; lens: { ids: number[][] } }[];
    experiments: { id: string; complete: boolean; points: { series: string }[] }[];
    vocabulary: Record<string, string>;
    answer: RunEventOf<"answer">;
  };
  const layer = events.find((event) => event.type === "layer.clean" && event.layer === 1);
  assert.ok(layer?.type === "layer.clean" && layer.mass !== undefined && layer.lens !== undefined);
  assert.deepEqual(
    json.layers.map(({ layer }) => layer),
    [0, 1],
  );
  const mass = json.layers[1]?.mass.mass;
  assert.equal(mass?.length, 3);
  assert.deepEqual(mass?.flat(2), [...(nested(layer.mass.mass) as number[][][]).flat(2)]);
  assert.equal(json.layers[1]?.lens.ids.length, layer.lens.ids.shape[0]);
  const results = events.filter(({ type }) => type === "branch.result");
  assert.equal(json.experiments.flatMap(({ points }) => points).length, results.length);
  assert.ok(json.experiments.every(({ complete }) => complete));
  assert.ok(Object.keys(json.vocabulary).length > 0);
  assert.ok(!JSON.stringify(json).includes("base64"));
});

test("half-precision tensors are exported as the numbers they stand for", () => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0);
  assert.deepEqual(nested({ dtype: "f16", shape: [2, 2], data: halves }), [
    [1, -2],
    [0.5, 0],
  ]);
  assert.deepEqual(nested({ dtype: "u8", shape: [2, 0], data: new Uint8Array() }), [[], []]);
});

test("the records of one run are those of all its knockout series", () => {
  assert.deepEqual(
    runRecords(sample({ path: "a", correct: false })),
    knockoutRecords([sampleState({ path: "a", correct: false })], { samples: "all" }),
  );
});

test("answer by layer as CSV has a row for each layer and variant", () => {
  const rows = answerByLayerCsv(sample({ path: "a" })).split("\r\n");
  assert.equal(rows[0], "layer,variant,A,B,top_token,top_probability");
  assert.equal(rows[3], "1,normed,0.1,0.30000000000000004, B,0.5");
  assert.equal(rows[4], "1,raw,0.25,0.125, B,0.5");
  assert.equal(rows.length, 1 + 2 * LAYERS + 1);
});

test("sweeps as CSV have a row for each series and layer", () => {
  const rows = experimentsCsv(sample({ path: "a" })).split("\r\n");
  assert.equal(
    rows[0],
    "experiment,kind,series,layer,blocked_layers,base_score,new_score,relative_diff,gt_score," +
      "new_score_gt,relative_diff_gt,base_answer,new_answer,edges_left,option_A,option_B,detail",
  );
  assert.equal(
    rows[2],
    'k,knockout,Video -/-> Question,1,1-1,0.5,0.25,-50,0.4,0,-75, B, B,,0.25,0.5,"{""target"":""vql-to-ql""}"',
  );
  assert.equal(rows.length, 1 + 6 + 1);
});

test("cells that hold commas, quotes or line breaks are quoted", () => {
  assert.equal(
    csv([["a,b", 'say "hi"', "x\ny", null, undefined, 0]]),
    '"a,b","say ""hi""","x\ny",,,0\r\n',
  );
});
