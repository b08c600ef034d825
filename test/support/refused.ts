import assert from "node:assert/strict";
import { ModelError } from "../../src/common/errors.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";

/** Asserts that a model folder is refused, in a message that names all of this. */
export async function assertRefused(
  folder: string,
  ...named: readonly (string | RegExp)[]
): Promise<void> {
  await assert.rejects(readModelSpec(folder), (error: unknown) => {
    assert.ok(error instanceof ModelError, `${error} is a ModelError`);
    for (const part of named) {
      const found =
        typeof part === "string" ? error.message.includes(part) : part.test(error.message);
      assert.ok(found, `"${error.message}" names ${part}`);
    }
    return true;
  });
}
