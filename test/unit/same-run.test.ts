import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../src/common/errors.ts";
import { compareRuns, requireSameRun } from "../../src/engine/same-run.ts";
import type { RunEventOf } from "../../src/protocol/events.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

type Started = RunEventOf<"run.started">;

const [first] = syntheticRun({ layers: 4 });
assert.ok(first?.type === "run.started");
const identity = { weights: "w", whole: false, files: "f" };
const started: Started = {
  ...first,
  model: { ...first.model, identity, precision: "float32" },
  video: { ...first.video, pixels: "p" },
};
const { model, video, prompt, tokens } = started;

const compared = (change: Partial<Started>, recorded = started) =>
  compareRuns(recorded, { ...started, ...change });
const differences = (change: Partial<Started>, recorded = started) =>
  compared(change, recorded).differences.join("; ");

test("the same input is the same run, wherever its files lie", () => {
  const moved = { model: { ...model, folder: "/b" }, video: { ...video, path: "/b.mp4" } };
  assert.deepEqual(compared({}), { differences: [], unknown: [] });
  assert.deepEqual(compared({ ...moved, time: "later" }), { differences: [], unknown: [] });
  const cached = { video: { ...video, featuresCached: true as const } };
  assert.deepEqual(compared(cached), { differences: [], unknown: [] });
});

test("each part of the input that is another is named", () => {
  const frames = video.frames.map(({ index }) => ({ index: index + 1, timestampSeconds: null }));
  const [{ spans: _, ...group } = { name: "" }] = tokens.groups;
  for (const [change, expected] of [
    [{ model: { ...model, identity: { ...identity, weights: "x" } } }, /other weights/],
    [{ model: { ...model, layers: 5 } }, /another model/],
    [{ model: { ...model, precision: "float16" } }, /precision \(float32; now float16\)/],
    [{ video: { ...video, pixels: "q" } }, /other pictures/],
    [{ video: { ...video, pixels: "q", path: "/b.mp4" } }, /another video/],
    [{ video: { ...video, frames } }, /another choice of frames/],
    [{ video: { ...video, frames: frames.slice(1) } }, /number of frames \(8; now 7\)/],
    [{ video: { ...video, start: 1 } }, /another part of the video/],
    [{ video: { ...video, order: "reversed" } }, /another order of frames \(as filmed\)/],
    [{ prompt: { ...prompt, text: "x" } }, /another prompt text/],
    [{ prompt: { ...prompt, text: "x", template: "custom" } }, /another prompt template/],
    [{ prompt: { ...prompt, question: "Why?" } }, /another question/],
    [{ prompt: { ...prompt, options: prompt.options.slice(1) } }, /another question/],
    [{ prompt: { ...prompt, answer: undefined } }, /another question/],
    [{ prompt: { ...prompt, keywords: ["up"] } }, /another question/],
    [{ tokens: { ...tokens, text: tokens.text.slice(1) } }, /other tokens/],
    [{ tokens: { ...tokens, groups: [{ ...group, spans: [[0, 1]] }] } }, /other tokens/],
  ] as const satisfies readonly [Partial<Started>, RegExp][]) {
    assert.match(differences(change), expected);
  }
});

test("of an older run what it holds is compared, and the rest said", () => {
  const { unknown } = compared({}, first);
  assert.deepEqual(unknown, ["the model's weights", "the frames' pixels"]);
  assert.match(differences({ model: { ...model, folder: "/b" } }, first), /another model/);
  assert.match(differences({ video: { ...video, path: "/b.mp4" } }, first), /another video/);
  assert.match(differences({ video: { ...video, frameCount: 1 } }, first), /other pictures/);
  const half = { ...model, precision: "float16" as const };
  assert.match(differences({ model: half }, first), /another precision/);
  const said = requireSameRun({ file: "a", started: first, cleanKnown: true }, started);
  assert.match(said ?? "", /^a: could not compare the model's weights and the frames' pixels/);
});

test("weights of which samples are the same are said to be sampled", () => {
  const touched = { ...model, identity: { ...identity, files: "g" } };
  assert.match(compared({ model: touched }).unknown.join(), /every value of the model's weights/);
  const whole = { ...model, identity: { ...identity, whole: true, files: "g" } };
  assert.deepEqual(compared({ model: whole }).unknown, []);
});

test("a run of something else is refused with what differs and a way out", () => {
  const continued = { file: "/r.flow.jsonl", started, cleanKnown: true };
  assert.equal(requireSameRun(continued, started), undefined);
  const other = { ...started, video: { ...video, pixels: "q" } };
  assert.throws(
    () => requireSameRun(continued, other),
    (error: Error) => {
      assert.ok(error instanceof InputError);
      assert.match(
        error.message,
        /^\/r\.flow\.jsonl: exists already, and it is a run of other pict/,
      );
      assert.match(error.message, /choose another file \(--out\), or analyze the clip anew$/);
      return true;
    },
  );
});
