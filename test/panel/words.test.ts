import assert from "node:assert/strict";
import { test } from "node:test";
import { answerChange, progressShare } from "../../webview/dom.ts";

test("an answer that a cut leaves alone stays", () => {
  assert.equal(answerChange("A", "A"), "answer stays “A”");
  assert.equal(answerChange("A", " B"), "answer “A” becomes “·B”");
});

test("progress is a count where things are counted, else a share", () => {
  assert.equal(progressShare(3, 12), "3/12");
  assert.equal(progressShare(1 / 12, 1), "8 %");
  assert.equal(progressShare(0.5, 12), "4 %");
  assert.equal(progressShare(1, 1), "100 %");
  assert.equal(progressShare(0, 0), "");
});
