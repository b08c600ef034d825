import assert from "node:assert/strict";
import { test } from "node:test";
import { packFloat24, roundToFloat24, unpackFloat24 } from "../../src/common/float24.ts";
import { Noise } from "../support/random-checkpoint.ts";

test("rounding to 24 bits errs by at most 2^-16 of a number", () => {
  const values = new Noise(1).draw(100_000, 1).map((value, i) => value * 10 ** -(i % 9));
  const rounded = roundToFloat24(values);
  values.forEach((value, i) => {
    assert.ok(Math.abs((rounded[i] ?? 0) - value) <= Math.abs(value) * 2 ** -16);
  });
  assert.ok(rounded.some((value, i) => value !== values[i]));
});

test("rounding to 24 bits goes to the nearest, ties to even", () => {
  const values = Float32Array.of(1 + 2 ** -16, 1 + 3 * 2 ** -16, 1 + 1.5 * 2 ** -16, -0, Infinity);
  assert.deepEqual(
    [...roundToFloat24(values)],
    [1, 1 + 2 ** -14, 1 + 2 ** -15, -0, Number.POSITIVE_INFINITY],
  );
  assert.ok(Number.isNaN(roundToFloat24(Float32Array.of(Number.NaN))[0]));
});

test("a share of 1 errs by at most 2^-17", () => {
  const shares = new Noise(4).draw(100_000, 1).map((value) => Math.abs(value) % 1);
  roundToFloat24(shares).forEach((rounded, i) => {
    assert.ok(Math.abs(rounded - (shares[i] ?? 0)) <= 2 ** -17);
  });
});

test("rounded numbers take three bytes and come back", () => {
  const rounded = roundToFloat24(new Noise(2).draw(101, 3));
  const packed = packFloat24(rounded.subarray(1));
  assert.equal(packed.length, 300);
  assert.deepEqual(unpackFloat24(packed), rounded.slice(1));
  assert.equal(unpackFloat24(packed.subarray(1)), undefined);
});
