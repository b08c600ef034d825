import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { z } from "zod";
import { openTokenizer } from "../../src/tokenizer/tokenizer.ts";

const DATA = join(import.meta.dirname, "data", "tokenizers", "slow");
const texts = z.array(z.string()).parse(read("texts.json"));
const whole = z.array(z.int());
const expectedSchema = z.array(z.tuple([whole, whole.nullable()])).length(texts.length);

function read(...names: string[]): unknown {
  return JSON.parse(readFileSync(join(DATA, ...names), "utf8"));
}

/** Folders without tokenizer.json; data/tokenizers/make_slow.py says what each is. */
const DESIGNS = ["phi3", "phi3-fast", "llama-legacy", "internlm2", "symbols", "qwen2"];

for (const design of DESIGNS) {
  test(`${design}: ids and ranges of ${texts.length} texts`, async () => {
    const tokenizer = await openTokenizer(join(DATA, design));
    const expected = expectedSchema.parse(read(design, "expected.json"));
    const before = design === "qwen2" || design === "symbols" ? 0 : 1;
    for (const [i, [ids, offsets]] of expected.entries()) {
      // The model of "symbols" has its own symbol in place of another's added token.
      const written = texts[i] ?? "";
      const text = design === "symbols" ? written.replaceAll("<box>", "<sep>") : written;
      const encoding = tokenizer.encode(text);
      const shown = `${JSON.stringify(text)}: ${JSON.stringify(encoding.ids.map((id) => tokenizer.tokenText(id)))}`;
      assert.deepEqual(encoding.ids, ids, `ids of ${shown}`);
      if (offsets === null) continue;
      const flat = encoding.ranges.slice(before).flatMap(({ start, end }) => [start, end]);
      assert.deepEqual(flat, offsets, `ranges of ${shown}`);
    }
  });
}
