import assert from "node:assert/strict";
import { test } from "node:test";
import { cutName, layerSpansText } from "../../src/protocol/experiments/parameters.ts";
import { groupTitle } from "../../src/protocol/group-names.ts";

test("token groups have titles, frames counted from 1", () => {
  assert.equal(groupTitle("frame:0"), "frame 1");
  assert.equal(groupTitle("option:A"), "option (A)");
  assert.equal(groupTitle("keyword:red: dark"), "keyword “red: dark”");
  assert.equal(groupTitle("question-only"), "question without options");
  assert.equal(groupTitle("true-option"), "true option");
  assert.equal(groupTitle("video"), "video");
  assert.equal(groupTitle("constructor"), "constructor");
});

test("a cut and its layers are named for people", () => {
  assert.equal(cutName({ from: "frame:1", to: "last" }), "frame 2 -/-> last");
  assert.equal(cutName({ from: "cross-frame", to: "cross-frame" }), "No cross-frame");
  assert.equal(layerSpansText([[4, 5]]), "layer 5");
  assert.equal(
    layerSpansText([
      [2, 9],
      [11, 12],
    ]),
    "layers 3-9 and 12",
  );
});
