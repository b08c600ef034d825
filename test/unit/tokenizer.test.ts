import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { InputError, ModelError } from "../../src/common/errors.ts";
import { openTokenizer, Tokenizer } from "../../src/tokenizer/tokenizer.ts";

const DATA = join(import.meta.dirname, "data", "tokenizers");

interface Expected {
  readonly text: string;
  readonly ids: readonly number[];
  readonly offsets: readonly number[];
  readonly decoded: string;
}

/** The library's byte-fallback decoder drops a byte-order mark; nothing else may differ. */
const withoutBom = (text: string) => text.replaceAll("\ufeff", "");

/** Designs of tokenizer.json; test/unit/data/tokenizers/make.py says what each is. */
const DESIGNS = [
  "added-tokens",
  "bert",
  "gpt2",
  "llama-legacy",
  "llama-metaspace",
  "llama3",
  "metaspace-words",
  "qwen",
  "smollm",
  "splits",
  "unknown-apart",
  "word-piece",
];

for (const design of DESIGNS) {
  test(`${design}: ids, character ranges and decoded text are those of transformers`, async () => {
    const folder = join(DATA, design);
    const tokenizer = await openTokenizer(folder);
    const cases: Expected[] = JSON.parse(await readFile(join(folder, "expected.json"), "utf8"));
    assert.ok(cases.length > 20);
    for (const { text, ids, offsets, decoded } of cases) {
      const shown = JSON.stringify(text);
      const encoding = tokenizer.encode(text);
      const tokens = encoding.ids.map((id) => tokenizer.tokenText(id));
      assert.deepEqual(encoding.ids, ids, `ids of ${shown}: ${JSON.stringify(tokens)}`);
      const flat = encoding.ranges.flatMap(({ start, end }) => [start, end]);
      assert.deepEqual(flat, offsets, `ranges of ${shown}: ${JSON.stringify(tokens)}`);
      assert.equal(withoutBom(tokenizer.decode(ids)), withoutBom(decoded), `decoded ${shown}`);
    }
  });
}

const TRICKY = fc.string({
  unit: fc.constantFrom(
    ..."aAeé ballthe \n\t('.-5½",
    ..."e\u0301\u0323한ᄒ猫½😀\u{20000}ﬁ",
    "  ",
    "👩‍👧",
    "<image>",
    "<s>",
  ),
  maxLength: 40,
});

for (const design of ["gpt2", "llama3", "smollm", "llama-legacy", "llama-metaspace"]) {
  test(`${design}: every character of any text belongs to a token, and tokens come in order`, async () => {
    const tokenizer = await openTokenizer(join(DATA, design));
    fc.assert(
      fc.property(TRICKY, (text) => {
        const { ranges } = tokenizer.encode(text);
        const covered = new Set<number>();
        let before = 0;
        for (const { start, end } of ranges.filter((range) => range.end > range.start)) {
          assert.ok(start >= before && end <= text.length);
          before = start;
          for (let i = start; i < end; i++) covered.add(i);
        }
        assert.equal(covered.size, text.length);
      }),
      { numRuns: 200 },
    );
  });
}

test("a byte-level tokenizer decodes any text to itself", async () => {
  const tokenizer = await openTokenizer(join(DATA, "smollm"));
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const { ids } = tokenizer.encode(text);
      assert.equal(tokenizer.decode(ids), text);
    }),
  );
});

test("tokens are shown readably: spaces, line breaks, bytes that are no character, unused ids", async () => {
  const llama = await openTokenizer(join(DATA, "llama-legacy"));
  const shown = (tokenizer: Tokenizer, piece: string) =>
    tokenizer.tokenText(tokenizer.idOf(piece) ?? -1);
  assert.equal(shown(llama, "▁ball"), " ball");
  assert.equal(shown(llama, "<0x09>"), "\t");
  assert.equal(shown(llama, "<0xE7>"), "<0xE7>");
  assert.equal(shown(llama, "<image>"), "<image>");
  assert.equal(llama.tokenText(llama.vocabSize), `<unused ${llama.vocabSize}>`);
  const gpt2 = await openTokenizer(join(DATA, "gpt2"));
  assert.equal(shown(gpt2, "Ġ"), " ");
  assert.equal(shown(gpt2, "Ċ"), "\n");
  assert.equal(shown(gpt2, "ç"), "<0xE7>");
  assert.equal(shown(await openTokenizer(join(DATA, "bert")), "##s"), "##s");
});

test("the special tokens are known, and left out of decoded text on request", async () => {
  const tokenizer = await openTokenizer(join(DATA, "llama-legacy"));
  const { ids } = tokenizer.encode("the ball <image>");
  assert.equal(tokenizer.decode(ids, { skipSpecial: true }).trim(), "the ball");
  assert.deepEqual(tokenizer.encode("ball", { addSpecial: false }).ids, ids.slice(2, 3));
  assert.equal(tokenizer.imageTokenId, 3);
  assert.equal(tokenizer.eosTokenId, 2);
  assert.ok(tokenizer.isSpecial(3) && !tokenizer.isSpecial(40));
  assert.equal(tokenizer.decode([]), "");
  assert.equal(tokenizer.decode([tokenizer.vocabSize + 7]), "");
});

/** A byte-pair tokenizer of a few pieces; `merges` are tried in order. */
function tiny(pieces: readonly string[], merges: readonly string[]) {
  const vocab = Object.fromEntries(["<unk>", ...pieces].map((piece, id) => [piece, id]));
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: "Fuse" },
    model: { type: "BPE", vocab, merges, unk_token: "<unk>" },
  };
}

test("an option's letter is the token after the prompt's last one", () => {
  const tokenizer = new Tokenizer(tiny([":", "(", ":(", "A", "B"], [": ("]), {});
  assert.equal(tokenizer.nextTokenId(":(", "A"), 4);
  assert.equal(tokenizer.nextTokenId(":(", "B"), 5);
});

test("a letter that would merge with the prompt's end is the piece of the letter alone", () => {
  const tokenizer = new Tokenizer(tiny([":", "(", "A", "(A"], ["( A"]), {});
  assert.deepEqual(tokenizer.encode(":(A").ids, [1, 4]);
  assert.equal(tokenizer.nextTokenId(":(", "A"), 3);
});

test("a letter that the vocabulary cannot write in one token is refused", () => {
  const tokenizer = new Tokenizer(tiny([":", "(", "(A"], ["( A"]), {});
  assert.throws(() => tokenizer.nextTokenId(":(", "AB"), InputError);
});

test("older files that do not name the kind of model, and merges as pairs, are read", () => {
  const json = tiny(["a", "b", "ab"], []);
  const { type: _, ...model } = json.model;
  const tokenizer = new Tokenizer({ ...json, model: { ...model, merges: [["a", "b"]] } }, {});
  assert.deepEqual(tokenizer.encode("abba").ids, [3, 2, 1]);
});

test("added tokens that only tokenizer_config.json has are known too", async (t) => {
  const folder = await scratch(t);
  const config = { added_tokens_decoder: { "9": { content: "<image>", special: true } } };
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tiny(["a"], [])));
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(config));
  const tokenizer = await openTokenizer(folder);
  assert.equal(tokenizer.imageTokenId, 9);
  assert.equal(tokenizer.vocabSize, 10);
  assert.deepEqual(tokenizer.encode("a<image>a").ids, [1, 9, 1]);
  assert.equal(tokenizer.decode([1, 9]), "a<image>");
});

async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tokenizer-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

const good = tiny(["a"], []);
const WRONG: readonly (readonly [what: string, json: unknown, message: RegExp])[] = [
  ["a list for an object", [], /is not a JSON object/],
  ["no model", { ...good, model: undefined }, /"model" is missing/],
  ["a Unigram model", { ...good, model: { type: "Unigram", vocab: [] } }, /BPE, WordPiece/],
  ["no vocabulary", { ...good, model: { type: "BPE", merges: [] } }, /"model.vocab" is missing/],
  ["a negative id", { ...good, model: { ...good.model, vocab: { a: -1 } } }, /the id -1/],
  ["an id as text", { ...good, model: { ...good.model, vocab: { a: "1" } } }, /the id "1"/],
  ["a huge id", { ...good, model: { ...good.model, vocab: { a: 1e12 } } }, /the id 1000000000000/],
  ["merges that are no pairs", { ...good, model: { ...good.model, merges: ["ab"] } }, /"ab"/],
  ["no merges", { ...good, model: { ...good.model, merges: undefined } }, /"model.merges"/],
  ["an added token without a text", { ...good, added_tokens: [{ id: 3 }] }, /added token 3 has/],
  ["an added token's id as text", { ...good, added_tokens: [{ id: "3", content: "x" }] }, /id "3"/],
  ["an unknown normalizer", { ...good, normalizer: { type: "Odd" } }, /"Odd"; supported are .*NFC/],
  ["a normalizer of text", { ...good, normalizer: "NFC" }, /"normalizer" is not an object/],
  ["an unknown splitter", { ...good, pre_tokenizer: { type: "Odd" } }, /"Odd".*Metaspace/],
  [
    "an unknown pattern",
    { ...good, pre_tokenizer: { type: "Split", pattern: {}, behavior: "Removed" } },
    /Regex/,
  ],
  [
    "a broken pattern",
    { ...good, pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Removed" } },
    /cannot be used/,
  ],
  ["an unknown decoder", { ...good, decoder: { type: "Odd" } }, /Odd/],
  [
    "a special token outside the vocabulary",
    {
      ...good,
      post_processor: {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "<x>", type_id: 0 } }, { Sequence: { id: "A" } }],
        pair: [],
      },
    },
    /"<x>" is not in the vocabulary/,
  ],
];

for (const [what, json, message] of WRONG) {
  test(`a tokenizer.json with ${what} is refused by name`, async (t) => {
    const folder = await scratch(t);
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(json));
    await assert.rejects(openTokenizer(folder), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.match(error.message, /tokenizer\.json/);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("a truncated or missing tokenizer.json is refused by name", async (t) => {
  const folder = await scratch(t);
  const missing = { name: "ModelError", message: /tokenizer\.json: is missing/ };
  await assert.rejects(openTokenizer(folder), missing);
  const whole = await readFile(join(DATA, "qwen", "tokenizer.json"), "utf8");
  await writeFile(join(folder, "tokenizer.json"), whole.slice(0, whole.length / 2));
  const truncated = { name: "ModelError", message: /tokenizer\.json: is not JSON/ };
  await assert.rejects(openTokenizer(folder), truncated);
});
