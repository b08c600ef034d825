import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { InputError } from "../../src/common/errors.ts";
import { clipBytes, requireClipFits } from "../../src/engine/clip-memory.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";

const EMBEDDED = join(import.meta.dirname, "..", "..", "models", "embedded");

test("a clip's pixels and token rows are counted", async () => {
  const spec = await readModelSpec(EMBEDDED);
  const { imageSize: side } = { imageSize: 0, ...spec.vision };
  const picture = { width: side, height: side };
  const one = clipBytes(spec, { frames: 8, picture });
  assert.equal(clipBytes(spec, { frames: 16, picture }), 2 * one);
  assert.ok(one > 8 * 3 * side * side * 4);
});

test("a clip beyond the memory budget is refused", async () => {
  const spec = await readModelSpec(EMBEDDED);
  const { imageSize: side } = { imageSize: 0, ...spec.vision };
  const shape = { frames: 4096, picture: { width: side, height: side } };
  requireClipFits(spec, shape, clipBytes(spec, shape));
  assert.throws(
    () => requireClipFits(spec, shape, 10_000_000),
    (error: unknown) =>
      error instanceof InputError &&
      /4096 frames of .* need .*but the memory budget is 10\.0 MB/.test(error.message),
  );
});
