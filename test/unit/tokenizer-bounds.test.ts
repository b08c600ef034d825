import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import { readAddedTokens } from "../../src/tokenizer/added.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";

/** A byte-pair tokenizer of two letters with these components. */
function withParts(parts: { readonly normalizer?: object; readonly pre_tokenizer?: object }) {
  return new Tokenizer(
    {
      ...{ added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null },
      ...parts,
      decoder: { type: "Fuse" },
      model: { type: "BPE", vocab: { "<unk>": 0, a: 1, b: 2 }, merges: [], unk_token: "<unk>" },
    },
    {},
  );
}

const split = (regex: string) => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
});
const replace = (from: string, content: string) => ({
  type: "Replace",
  pattern: { String: from },
  content,
});

/** Components that make a short text endless work or a large text, and how they are named. */
const BOMBS: readonly (readonly [
  what: string,
  parts: Parameters<typeof withParts>[0],
  message: RegExp,
])[] = [
  [
    "a split that explodes",
    { pre_tokenizer: split("(a+)+c") },
    /more than 5 s, in the Split pre-tokenizer's pattern \/\(a\+\)\+c\//,
  ],
  [
    "a replacement's pattern that explodes",
    { normalizer: { type: "Replace", pattern: { Regex: "(a|aa)+c" }, content: "" } },
    /more than 5 s, in the Replace normalizer's pattern \/\(a\|aa\)\+c\//,
  ],
  [
    "replacements that double a text",
    {
      normalizer: {
        type: "Sequence",
        normalizers: Array.from({ length: 40 }, () => replace("a", "aa")),
      },
    },
    /more than 4,000,000 characters of this text, in the Replace normalizer's pattern/,
  ],
  [
    "a long replacement",
    { normalizer: replace("a", "b".repeat(1_000_000)) },
    /in the Replace normalizer's pattern \/a\//,
  ],
  [
    "a long prefix",
    { normalizer: { type: "Prepend", prepend: "b".repeat(5_000_000) } },
    /in its Prepend normalizer/,
  ],
];

for (const [what, parts, message] of BOMBS) {
  // Unbounded work would take years, or all of the memory.
  test(`${what}: refused by name`, { timeout: 60_000 }, () => {
    const tokenizer = withParts(parts);
    assert.throws(
      () => tokenizer.encode(`${"a".repeat(60)}b`),
      (error: Error) => {
        assert.ok(error instanceof ModelError, error.stack);
        assert.match(error.message, message);
        return true;
      },
    );
    if (what !== "a long prefix") assert.deepEqual(tokenizer.encode("b").ids, [2]);
  });
}

test("white space beside tokens that take it is found once", () => {
  const token = { id: 3, content: "<x>", lstrip: true, rstrip: true, special: true };
  const tokenizer = new Tokenizer(
    {
      ...{ added_tokens: [token], normalizer: null, pre_tokenizer: null, post_processor: null },
      decoder: { type: "Fuse" },
      model: { type: "BPE", vocab: { "<unk>": 0, a: 1, b: 2 }, merges: [], unk_token: "<unk>" },
    },
    {},
  );
  const { ids, ranges } = tokenizer.encode(`a${" ".repeat(200_000)}<x>\n<x> b`);
  assert.deepEqual(ids, [1, 3, 3, 2]);
  assert.deepEqual(ranges.slice(1, 3), [
    { start: 1, end: 200_005 },
    { start: 200_005, end: 200_009 },
  ]);
});

test("an added token longer than any is refused", () => {
  const entry = { id: 7, content: "a".repeat(5000), special: false };
  assert.throws(() => readAddedTokens([entry]), { name: "ModelError", message: /at most 4096/ });
});
