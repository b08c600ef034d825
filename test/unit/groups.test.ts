import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { InputError, ModelError } from "../../src/common/errors.ts";
import {
  positionsOf,
  runPrompt,
  runTokens,
  spansOf,
  tokenizePrompt,
  tokensInRanges,
} from "../../src/prompts/groups.ts";
import { renderPrompt } from "../../src/prompts/templates.ts";
import { optionLabel } from "../../src/prompts/words.ts";
import { runEvent } from "../../src/protocol/events.ts";
import type { PromptItem } from "../../src/protocol/prompt-item.ts";
import { openTokenizer } from "../../src/tokenizer/tokenizer.ts";

const TOKENIZERS = join(import.meta.dirname, "data", "tokenizers");
const EMBEDDED = join(import.meta.dirname, "..", "..", "models", "embedded");
const GRID = { frames: 3, rows: 2, columns: 2 };
const ITEM: PromptItem = {
  id: "ball",
  question: "Which way did the ball move?",
  options: ["Up", "Down to the box", "Left"],
  answer: "Down to the box",
  keywords: ["ball"],
};

/** Positions of a group, as the texts of their tokens. */
async function grouped(folder: string, item: PromptItem) {
  const tokenizer = await openTokenizer(folder);
  const tokens = tokenizePrompt(renderPrompt(item), tokenizer, GRID);
  const shown = (name: string) =>
    Array.from(tokens.groups.get(name) ?? [], (at) => tokenizer.tokenText(tokens.ids[at] ?? -1));
  return { tokenizer, tokens, shown };
}

test("the embedded model's groups hold the tokens of their words", async () => {
  const { tokens, shown } = await grouped(EMBEDDED, ITEM);
  assert.equal(shown("system")[0], "<s>");
  assert.deepEqual(shown("system").slice(-2), ["USER", ":"]);
  assert.deepEqual(shown("question").slice(0, 4), ["Question", ":", "Which", "way"]);
  assert.deepEqual(shown("question-only").slice(0, 4), ["Which", "way", "did", "the"]);
  assert.equal(shown("question-only").at(-1), "?");
  assert.deepEqual(shown("option:A"), ["(", "A", ")", "Up"]);
  assert.deepEqual(shown("option:C"), ["(", "C", ")", "Left"]);
  assert.deepEqual(shown("question").slice(-4), shown("option:C"));
  assert.deepEqual(shown("false-options"), [...shown("option:A"), ...shown("option:C")]);
  assert.deepEqual(shown("true-option"), shown("option:B"));
  assert.equal(shown("keyword:ball").join("").replaceAll("##", ""), "ball");
  assert.deepEqual(shown("last"), ["("]);
  assert.equal(tokens.groups.get("last")?.[0], tokens.length - 1);
});

test("video tokens stand in the placeholder's place, frame after frame", async () => {
  const { tokenizer, tokens, shown } = await grouped(EMBEDDED, ITEM);
  const placeholder = tokenizer.imageTokenId;
  const video = tokens.groups.get("video") ?? new Int32Array();
  assert.equal(video.length, 12);
  assert.equal(video[0], tokens.videoStart);
  assert.equal(tokens.groups.get("system")?.length, tokens.videoStart);
  assert.ok(video.every((at) => tokens.ids[at] === placeholder));
  assert.equal(tokens.ids.filter((id) => id === placeholder).length, 12);
  const frames = [0, 1, 2].flatMap((i) => [...(tokens.groups.get(`frame:${i}`) ?? [])]);
  assert.deepEqual(frames, [...video]);
  assert.equal(tokens.groups.has("frame:3"), false);
  const plain = tokenizer.encode(renderPrompt(ITEM).text).ids;
  const without = [...tokens.ids].filter((id) => id !== placeholder);
  assert.deepEqual(
    without,
    plain.filter((id) => id !== placeholder),
  );
  assert.equal(tokens.length, plain.length + 11);
  assert.deepEqual(
    tokens.text.map((token) => token.id),
    without,
  );
  assert.deepEqual(shown("video"), Array(12).fill("<image>"));
});

test("in a Llama vocabulary a word's token brings its space, and bytes of one letter stay together", async () => {
  const item = { ...ITEM, question: "Where is the ḅall?", keywords: ["ḅall"] };
  const { shown } = await grouped(join(TOKENIZERS, "llama-legacy"), item);
  const bytes = ["<0xE1>", "<0xB8>", "<0x85>"];
  const keyword = shown("keyword:ḅall");
  assert.deepEqual(keyword.slice(0, 3), bytes);
  assert.equal(keyword.slice(3).join(""), "all");
  assert.ok(shown("question-only").join("").includes(bytes.join("")));
});

test("a token that reaches over a group's border belongs to both sides", async () => {
  const item = { ...ITEM, keywords: [], template: "{video}\n{question}" };
  const { tokenizer, tokens, shown } = await grouped(join(TOKENIZERS, "llama-legacy"), item);
  // In this vocabulary "\n" and the mark of a new stretch are one piece, so nothing else is in front.
  const before = [...(tokens.groups.get("question") ?? [])][0] ?? 0;
  assert.ok(shown("question").join("").startsWith("Question"));
  assert.equal(tokenizer.tokenText(tokens.ids[before - 1] ?? -1), " \n");
  assert.deepEqual([...tokensInRanges([{ start: 0, end: 3 }], [{ start: 2, end: 9 }])], [0]);
});

test("what a run says of its tokens and its prompt fits the event's schema", async () => {
  const { tokens } = await grouped(EMBEDDED, ITEM);
  const event = {
    type: "run.started",
    format: "flowprobe-run",
    version: 1,
    time: "2026-01-01T00:00:00Z",
    model: {
      name: "m",
      folder: "m",
      embedded: true,
      family: "llava",
      layers: 1,
      heads: 1,
      kvHeads: 1,
      hiddenSize: 1,
      vocabSize: 1,
      dtype: "f32",
      tokensPerFrame: 4,
    },
    video: {
      path: "v.mp4",
      width: 1,
      height: 1,
      frameCount: 1,
      fps: null,
      durationSeconds: null,
      codec: "h264",
      frames: [],
      crop: { x: 0, y: 0, width: 1, height: 1 },
    },
    prompt: runPrompt(ITEM, renderPrompt(ITEM), tokens),
    tokens: runTokens(tokens),
  };
  const parsed = runEvent.parse(event);
  assert.ok(parsed.type === "run.started");
  assert.deepEqual(
    parsed.prompt.options.map((option) => option.label),
    ["A", "B", "C"],
  );
  assert.equal(parsed.prompt.answer, "B");
  const video = parsed.tokens.groups.find((group) => group.name === "video");
  assert.deepEqual(video?.spans, [[tokens.videoStart, tokens.videoStart + 12]]);
});

test("a vocabulary without the placeholder is refused", async () => {
  const tokenizer = await openTokenizer(EMBEDDED);
  const prompt = renderPrompt(ITEM, { placeholder: "<movie>" });
  assert.throws(() => tokenizePrompt(prompt, tokenizer, GRID), ModelError);
});

test("a group whose characters the tokenizer drops is refused", async () => {
  const tokenizer = await openTokenizer(join(TOKENIZERS, "bert"));
  const prompt = renderPrompt({ ...ITEM, question: "the \u200b ball", keywords: ["\u200b"] });
  assert.throws(
    () => tokenizePrompt(prompt, tokenizer, GRID),
    (error: Error) => error instanceof InputError && error.message.includes("keyword:\u200b"),
  );
});

/** Half-open ranges that come in order and may touch, overlap or be empty, within 40 characters. */
const RANGES = fc
  .array(fc.tuple(fc.nat(39), fc.nat(5)), { maxLength: 12 })
  .map((pairs) =>
    pairs
      .sort((a, b) => a[0] - b[0])
      .map(([start, length]) => ({ start, end: Math.min(40, start + length) })),
  );

test("a token belongs to a group if and only if one of its characters does", () => {
  fc.assert(
    fc.property(RANGES, RANGES, (tokens, ranges) => {
      const wanted = new Set<number>();
      for (const { start, end } of ranges) for (let i = start; i < end; i++) wanted.add(i);
      const expected: number[] = [];
      tokens.forEach(({ start, end }, token) => {
        let hit = false;
        for (let i = start; i < end; i++) hit ||= wanted.has(i);
        if (hit) expected.push(token);
      });
      assert.deepEqual(tokensInRanges(tokens, ranges), expected);
    }),
  );
});

test("spans hold exactly the positions, in the fewest ranges", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(60)), (numbers) => {
      const positions = numbers.sort((a, b) => a - b);
      const spans = spansOf(positions);
      assert.deepEqual([...positionsOf(spans)], positions);
      spans.forEach(([start, end], i) => {
        assert.ok(start < end && start > (spans[i - 1]?.[1] ?? -1));
      });
    }),
  );
});

const WORDS = fc.array(
  fc.constantFrom("ball", "the", "é", "猫", "😀", "Up", "moves", "?", "x-y", "  ", "12"),
  { minLength: 1, maxLength: 6 },
);

for (const design of ["llama-legacy", "qwen", "word-piece", "smollm", "bert"]) {
  test(`${design}: for any question the groups nest as they should`, async () => {
    const tokenizer = await openTokenizer(join(TOKENIZERS, design));
    fc.assert(
      fc.property(WORDS, fc.array(WORDS, { minLength: 2, maxLength: 5 }), (question, words) => {
        const texts = words.map((some, i) => `${some.join(" ")} ${i}`);
        const item = {
          question: `a ${question.join(" ")}`,
          options: texts,
          answer: texts[1],
          keywords: [],
        };
        const { groups, length } = tokenizePrompt(renderPrompt(item), tokenizer, GRID);
        const has = (name: string) => new Set(groups.get(name) ?? []);
        const inside = has("question");
        for (const [name, positions] of groups) {
          assert.deepEqual(
            [...positions],
            [...new Set(positions)].sort((a, b) => a - b),
            name,
          );
          assert.ok(positions.every((at) => at >= 0 && at < length));
          if (name.startsWith("option:") || name === "question-only") {
            assert.ok(positions.length > 0 && positions.every((at) => inside.has(at)), name);
          }
        }
        const options = texts.flatMap((_, i) => [...has(`option:${optionLabel(i)}`)]);
        const both = new Set([...has("true-option"), ...has("false-options")]);
        assert.deepEqual([...both].sort(), [...new Set(options)].sort());
        assert.ok([...has("video")].every((at) => !inside.has(at)));
        assert.ok(!inside.has(length - 1), "the prompt's end is no part of the question");
      }),
      { numRuns: 60 },
    );
  });
}

test("frames that keep a part of their tokens have so many in the prompt, and say where", async () => {
  const tokenizer = await openTokenizer(EMBEDDED);
  const rendered = renderPrompt(ITEM, { video: "<image>,<image>,<image>" });
  const cells = [0, 1, 2, 3, 5, 8, 9, 11];
  const tokens = tokenizePrompt(rendered, tokenizer, { ...GRID, cells });
  const counts = [0, 1, 2].map((frame) => tokens.groups.get(`frame:${frame}`)?.length);
  assert.deepEqual(counts, [4, 1, 3]);
  const frames = [0, 1, 2].flatMap((frame) => [...(tokens.groups.get(`frame:${frame}`) ?? [])]);
  assert.deepEqual(frames, [...tokens.video]);
  assert.equal(spansOf(tokens.video).length, 3, "a comma after the first and the second frame");
  assert.deepEqual(runTokens(tokens).grid.cells, cells);
});
