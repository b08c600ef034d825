import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { InputError } from "../../src/common/errors.ts";
import { frameIndices } from "../../src/video/frame-indices.ts";

/** Computed with NumPy by the benchmark's own rule. */
const REFERENCE: readonly {
  clip: readonly [total: number, wanted: number];
  part?: readonly [fps: number, start: number, end: number];
  indices: readonly number[];
}[] = [
  { clip: [48, 8], indices: [2, 8, 14, 20, 26, 31, 37, 43] },
  { clip: [250, 8], indices: [15, 46, 77, 108, 139, 171, 202, 233] },
  { clip: [30, 16], indices: [0, 2, 4, 5, 7, 9, 11, 13, 14, 16, 18, 20, 22, 24, 25, 27] },
  { clip: [13, 4], indices: [1, 4, 7, 10] },
  { clip: [17, 5], indices: [1, 4, 7, 11, 14] },
  { clip: [9, 8], indices: [0, 1, 2, 3, 4, 5, 6, 7] },
  { clip: [101, 8], part: [29.97, 0.5, 2.5], indices: [18, 26, 33, 40, 48, 56, 63, 70] },
  { clip: [250, 8], part: [25, 2.02, 6.1], indices: [56, 69, 82, 94, 107, 120, 132, 145] },
  { clip: [250, 4], part: [25, 9.5, 30], indices: [239, 242, 245, 247] },
  { clip: [60, 8], part: [3, 4.5, 7.5], indices: [14, 15, 16, 17, 18, 19, 20, 21] },
  { clip: [250, 8], part: [25, 0, 0.1], indices: [0, 0, 0, 1, 1, 1, 2, 2] },
];

test("frames are chosen where the reference chooses them", () => {
  for (const { clip, part, indices } of REFERENCE) {
    const [total, wanted] = clip;
    const [fps, start, end] = part ?? [];
    assert.deepEqual(frameIndices(total, fps ?? null, wanted, start, end), indices);
  }
});

test("a clip shorter than the frames wanted repeats frames", () => {
  assert.deepEqual(frameIndices(3, null, 8), [0, 0, 0, 1, 1, 1, 2, 2]);
  assert.deepEqual(frameIndices(1, null, 4), [0, 0, 0, 0]);
  assert.deepEqual(frameIndices(2, null, 3), [0, 0, 1]);
});

test("one end alone bounds the part looked at on that side", () => {
  assert.deepEqual(frameIndices(100, 10, 4, 5), frameIndices(100, 10, 4, 5, 1000));
  assert.deepEqual(frameIndices(100, 10, 4, undefined, 5), frameIndices(100, 10, 4, 0, 5));
});

test("whatever the clip and the part, as many indices as wanted come, in order and inside the part", () => {
  const seconds = fc.double({ min: 0, max: 200, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 64 }),
      fc.double({ min: 0.5, max: 120, noNaN: true }),
      fc.option(fc.tuple(seconds, seconds), { nil: null }),
      (total, wanted, fps, part) => {
        const [start, end] = part === null ? [] : part[0] < part[1] ? part : [part[1], part[0] + 1];
        let indices: number[];
        try {
          indices = frameIndices(total, fps, wanted, start, end);
        } catch (error) {
          assert.match(String(error), /beyond the end/);
          assert.ok((start ?? 0) * fps > total - 1.5);
          return;
        }
        assert.equal(indices.length, wanted);
        const last = Math.min(total - 1, Math.ceil((end ?? Number.POSITIVE_INFINITY) * fps));
        let before = Math.max(0, Math.floor((start ?? 0) * fps));
        for (const index of indices) {
          assert.ok(Number.isInteger(index) && index >= before && index <= last);
          before = index;
        }
      },
    ),
  );
});

test("numbers that describe no part of the clip are refused, each with its reason", () => {
  const refused = (message: RegExp, ...[fps, wanted, start, end]: (number | null | undefined)[]) =>
    assert.throws(
      () => frameIndices(100, fps ?? null, wanted ?? 8, start ?? undefined, end ?? undefined),
      (error) => error instanceof InputError && message.test(error.message),
    );
  refused(/start \(4 s\) must be before end \(2 s\)/, 25, 8, 4, 2);
  refused(/start \(2 s\) must be before end \(2 s\)/, 25, 8, 2, 2);
  refused(/start \(9 s\) is beyond the end of the clip, which is 4\.00 s long/, 25, 8, 9, 12);
  refused(/start must be a number of seconds from 0, not -1/, 25, 8, -1);
  refused(/end must be a number of seconds from 0, not NaN/, 25, 8, 0, Number.NaN);
  refused(/need a frame rate, and this clip has none/, null, 8, 1, 2);
  refused(/whole number from 1 to 4096, not 0/, 25, 0);
  refused(/whole number from 1 to 4096, not 2\.5/, 25, 2.5);
  assert.throws(() => frameIndices(0, 25, 8), /no frames/);
});
