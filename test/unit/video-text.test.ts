import assert from "node:assert/strict";
import { test } from "node:test";
import { numberInWords } from "../../src/prompts/numbers.ts";
import { videoText } from "../../src/prompts/video-text.ts";

test("numbers are written as English words", () => {
  const words = {
    0: "zero",
    8: "eight",
    13: "thirteen",
    20: "twenty",
    21: "twenty-one",
    64: "sixty-four",
    99: "ninety-nine",
    100: "one hundred",
    101: "one hundred and one",
    340: "three hundred and forty",
    1000: "one thousand",
    1005: "one thousand and five",
    12345: "twelve thousand, three hundred and forty-five",
  };
  for (const [value, text] of Object.entries(words)) assert.equal(numberInWords(+value), text);
  assert.throws(() => numberInWords(-1), RangeError);
  assert.throws(() => numberInWords(1.5), RangeError);
});

test("times are told in minutes and seconds, the clip's length in hours, and days where there are some", () => {
  const wording = { kind: "timed", around: "|", lead: "g" } as const;
  const clip = { frameSeconds: [0.9, 59.99, 3_661], durationSeconds: 90_061.8 };
  const text = videoText(wording, "<v>", clip);
  assert.ok(text.includes("three frames from a 1 day, 1:01:01 [H:MM:SS] video"), text);
  const frames = ["00:00", "00:59", "61:01"].map((time) => `\nFrame from ${time}:|g<v>|`);
  assert.ok(text.endsWith(`${frames.join("")}\n\n`), text);
});

test("times before frames are rounded as each of VideoLLaMA3's processors rounds them", () => {
  const times = (clock: "frame" | "span", ...frameSeconds: number[]) =>
    videoText({ kind: "stamped", clock }, "<v>", { frameSeconds, durationSeconds: 0 });
  assert.equal(times("frame", 0, 12.34), "Time 0.0s:<v>,Time 12.3s:<v>");
  // Python: halves to the even digit, 0.65 being above the half.
  assert.equal(times("frame", 0.25, 0.75, 0.65), "Time 0.2s:<v>,Time 0.8s:<v>,Time 0.7s:<v>");
  // NumPy: ten times 0.65 is 6.5, which goes to 6.
  assert.equal(times("span", 0.25, 0.75, 0.65), "Time 0.2s:<v>,Time 0.8s:<v>,Time 0.6s:<v>");
});
