import assert from "node:assert/strict";
import { test } from "node:test";
import type { PacketFacts } from "../../src/video/ffmpeg.ts";
import { orderFrames, planStretches } from "../../src/video/frame-order.ts";

/** Packets in decoding order: "K" a key frame, "h" a hidden one, "?" one without a time. */
function packets(text: string): PacketFacts[] {
  return text.split(" ").map((item) => ({
    pts: item.includes("?") ? null : Number.parseInt(item, 10),
    dts: null,
    key: item.endsWith("K"),
    hidden: item.endsWith("h"),
    disposable: false,
    changesState: false,
    short: false,
  }));
}

/** Two groups of pictures; the second is open: 40 and 50 are stored after key frame 60. */
const OPEN_GOP = packets("0K 30 10 20 60K 40 50 90 70 80");

function plan(text: readonly PacketFacts[], wanted: number[]): [key: number, frames: number[]][] {
  const order = orderFrames(text);
  assert.ok(order);
  return planStretches(order, wanted).map(({ key, frames }) => [key.pts, [...frames]]);
}

test("frames stand in the order of their presentation times, hidden ones left out", () => {
  assert.deepEqual(orderFrames(OPEN_GOP)?.times, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  // A hidden reference frame may bear the time of the frame after it.
  assert.deepEqual(orderFrames(packets("0K 40h 40 80"))?.times, [0, 40, 80]);
});

test("packets that cannot tell the frames' order say so", () => {
  assert.equal(orderFrames(packets("0K ? 20")), null);
  assert.equal(orderFrames(packets("0K 10 10")), null);
  assert.equal(orderFrames(packets("0 10 20K 30")), null);
  assert.equal(orderFrames(packets("20K 0 10 30")), null);
});

test("each frame is decoded from the last key frame it can be decoded from", () => {
  assert.deepEqual(plan(OPEN_GOP, [2]), [[0, [2]]]);
  assert.deepEqual(plan(OPEN_GOP, [8]), [[60, [8]]]);
  assert.deepEqual(plan(OPEN_GOP, [6]), [[60, [6]]]);
  // Shown before key frame 60 but stored after it: it leans on frames before that key frame.
  assert.deepEqual(plan(OPEN_GOP, [5]), [[0, [5]]]);
});

test("a stretch under way goes on where that is as near as seeking", () => {
  assert.deepEqual(plan(OPEN_GOP, [8, 1, 8, 2]), [
    [0, [1, 2]],
    [60, [8]],
  ]);
  // Decoding frame 5 has passed key frame 60 already.
  assert.deepEqual(plan(OPEN_GOP, [5, 7]), [[0, [5, 7]]]);
});
