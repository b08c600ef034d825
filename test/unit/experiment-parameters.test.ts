import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../src/common/errors.ts";
import type { Setting } from "../../src/protocol/experiments/descriptor.ts";
import {
  descriptorOf,
  EXPERIMENTS,
  recipeOf,
  recipePhrases,
  requestFrom,
} from "../../src/protocol/experiments/list.ts";
import {
  type ExperimentKind,
  experimentRequest,
  RECIPES,
  type RecipeOf,
} from "../../src/protocol/experiments/schemas.ts";

const SETTING: Setting = {
  prompt: { question: "Which?", options: ["Left", "Up"], answer: "Up", keywords: ["circle"] },
  layers: 32,
  window: 9,
};
const KINDS = Object.keys(EXPERIMENTS) as ExperimentKind[];

/** A request as the flags given would make it. */
function ask<K extends ExperimentKind>(kind: K, flags: Readonly<Record<string, string[]>> = {}) {
  return requestFrom(kind, SETTING, (flag) => flags[flag]);
}

for (const kind of KINDS) {
  test(`${kind}: the initial values make a valid request`, () => {
    const request = experimentRequest.parse(ask(kind));
    assert.equal(request.kind, kind);
  });

  test(`${kind}: its recipe is valid and has phrases`, () => {
    const keywords = kind === "keyword" ? { keywords: ["keyword:circle"] } : {};
    const recipe = { ...recipeOf(ask(kind), SETTING.layers), ...keywords };
    RECIPES[kind].parse(recipe);
    const recorded = { kind, recipe } as unknown as Parameters<typeof recipePhrases>[0];
    const phrases = recipePhrases(recorded);
    assert.ok(phrases.length > 0);
    for (const phrase of phrases) assert.doesNotMatch(phrase, /undefined|NaN|\[object/);
    assert.notEqual(descriptorOf(kind).variant(recipe as unknown as RecipeOf<typeof kind>), "");
  });
}

test("a heads recipe says which centres were swept", () => {
  const request = ask("heads", { layers: ["4"], cut: ["video:last"] });
  assert.deepEqual(recipeOf(request, 32), {
    from: "video",
    to: "last",
    window: 9,
    centres: [[3, 4]],
  });
});

test("names of groups hold colons themselves", () => {
  const { from, to } = ask("heads", { cut: ["option:A:keyword:red"] });
  assert.deepEqual([from, to], ["option:A", "keyword:red"]);
});

test("cuts of a generation name their layers or take those given", () => {
  const { cuts } = ask("generation", { cut: ["video:last:1-12", "frame:0:last"], layers: ["5-6"] });
  assert.deepEqual(cuts, [
    { name: "video -/-> last", from: "video", to: "last", layers: [0, 11] },
    { name: "frame 1 -/-> last", from: "frame:0", to: "last", layers: [4, 5] },
  ]);
});

test("a preset wins over the ranges that are offered", () => {
  const paper = ask("pathways", { preset: ["llava-next-7b"] });
  assert.deepEqual(paper.crossFrame, [5, 14]);
  const kept = ask("pathways", { keep: ["question-last=16-25"] });
  assert.deepEqual(
    [kept.crossFrame, kept.videoToQuestion, kept.questionToLast],
    [undefined, undefined, [15, 24]],
  );
});

test("what cannot be read is named with what is needed", () => {
  const refused: [ExperimentKind, Record<string, string[]>, RegExp][] = [
    ["knockout", { target: ["everything"] }, /"everything"; it can be cross-frame/],
    ["knockout", { window: ["0"] }, /whole number from 1/],
    ["knockout", { layers: ["1-40"] }, /within the model's layers 1-32/],
    ["knockout", { style: ["round"] }, /it can be center/],
    ["heads", { cut: ["video"] }, /write FROM:TO/],
    ["pathways", { keep: ["video=1-2"] }, /write NAME=A-B/],
    ["pathway-search", { "keep-share": ["0.2"] }, /from 0.5 to 1/],
    ["what-if", { heads: ["0"] }, /numbers from 1/],
    ["generation", { cut: ["video:last:3-1"] }, /not a range of layers/],
  ];
  for (const [kind, flags, message] of refused) {
    assert.throws(() => ask(kind, flags), { name: InputError.name, message });
  }
});
