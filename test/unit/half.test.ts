import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHalf } from "../../src/common/half.ts";
import { toHalf } from "../support/to-half.ts";

test("every half-precision number comes back as itself", () => {
  const all = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter(
    (half) => (half & 0x7c00) !== 0x7c00 || (half & 0x3ff) === 0,
  );
  assert.deepEqual(toHalf(fromHalf(all)), all);
});

test("numbers between two halves go to the nearest, ties to even", () => {
  const values = Float32Array.of(
    1 + 1 / 2048,
    1 + 3 / 2048,
    1 + 1.1 / 2048,
    65_519,
    65_520,
    2 ** -25,
  );
  assert.deepEqual(
    [...fromHalf(toHalf(values))],
    [1, 1 + 2 / 1024, 1 + 1 / 1024, 65_504, Number.POSITIVE_INFINITY, 0],
  );
});

test("known bit patterns", () => {
  assert.deepEqual(
    [...toHalf(Float32Array.of(0, 1, -2, 0.1, 2 ** -24, Number.POSITIVE_INFINITY))],
    [0x0000, 0x3c00, 0xc000, 0x2e66, 0x0001, 0x7c00],
  );
});
