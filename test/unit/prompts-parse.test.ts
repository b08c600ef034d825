import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { editDistance, nearest } from "../../src/prompts/nearest.ts";
import { parsePromptFile } from "../../src/prompts/parse.ts";
import { LineMap } from "../../src/prompts/problems.ts";
import { promptFileText } from "../../src/prompts/write.ts";
import type { PromptItem } from "../../src/protocol/prompt-item.ts";
import { covered } from "../support/text-ranges.ts";

const CLIP = `video: ball.mp4
frames: 8
questions:
  - id: way
    task: moving direction
    question: "Which way did the ball move?"
    options: [Up, "Down", 3]
    answer: 3
    keywords: [ball]
    start: 1.5
    end: 4
  - id: words
    question: |
      What happens
      in the video?
    frames: 4
    video: other.mp4
`;

test("a file with one clip gives its questions, with the file's settings unless they have their own", () => {
  const { questions, problems, benchmark } = parsePromptFile(CLIP, "ball.vqa.yaml");
  assert.deepEqual(problems, []);
  assert.equal(benchmark, false);
  assert.deepEqual(
    questions.map(({ item }) => item),
    [
      {
        id: "way",
        task: "moving direction",
        question: "Which way did the ball move?",
        options: ["Up", "Down", "3"],
        answer: "3",
        keywords: ["ball"],
        frames: 8,
        startSeconds: 1.5,
        endSeconds: 4,
        template: undefined,
        video: "ball.mp4",
      },
      {
        id: "words",
        task: undefined,
        question: "What happens\nin the video?",
        options: [],
        answer: undefined,
        keywords: [],
        frames: 4,
        startSeconds: undefined,
        endSeconds: undefined,
        template: undefined,
        video: "other.mp4",
      },
    ],
  );
  const [first, second] = questions;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(first.range.startLine, 3);
  assert.equal(second.range.startLine, 11);
  assert.equal(covered(CLIP, first.videoRange), "ball.mp4");
  assert.equal(covered(CLIP, second.videoRange), "other.mp4");
});

test("a single question, a list of questions, and questions with their own clips are read", () => {
  const one = "{video: a.mp4, question: Why?}";
  const forms = [one, `[${one}]`, `questions: [${one}]`];
  for (const text of forms) {
    const { questions, problems } = parsePromptFile(text, "a.vqa.yaml");
    assert.deepEqual(problems, []);
    assert.equal(questions[0]?.item.video, "a.mp4");
    assert.equal(questions[0]?.item.question, "Why?");
  }
});

test("JSON files are read with the same places as YAML", () => {
  const text =
    '{\n  "video": "a\\u00e9.mp4",\n  "questions": [ { "question": "q\\n?", "id": 1.0 } ]\n}';
  const { questions, problems } = parsePromptFile(text, "a.vqa.json");
  assert.deepEqual(problems, []);
  assert.equal(questions[0]?.item.video, "aé.mp4");
  assert.equal(questions[0]?.item.question, "q\n?");
  assert.equal(questions[0]?.item.id, "1.0");
  assert.ok(questions[0] !== undefined);
  assert.equal(covered(text, questions[0].range), '{ "question": "q\\n?", "id": 1.0 }');
  assert.deepEqual(parsePromptFile(text, "a.vqa.yaml").questions, questions);
});

test("JSON Lines are a list, by the file's ending or by its form", () => {
  const record = { video: "v.mp4", question: "q", candidates: ["a", "b"], answer: "b" };
  const own = { video: "w.mp4", question: "Why?", options: ["x", "y"], id: 7 };
  const text = `\n${JSON.stringify(record)}\r\n\n${JSON.stringify(own)}\n`;
  for (const name of ["task.jsonl", "task.ndjson", "task.json"]) {
    const { questions, problems, benchmark } = parsePromptFile(text, name);
    assert.deepEqual(problems, []);
    assert.equal(benchmark, true);
    assert.deepEqual(
      questions.map(({ item, range }) => [item.video, item.options, range.startLine]),
      [
        ["v.mp4", ["a", "b"], 1],
        ["w.mp4", ["x", "y"], 3],
      ],
    );
    const [, second] = questions;
    assert.ok(second !== undefined);
    assert.equal(covered(text, second.videoRange), '"w.mp4"');
  }
});

/** Options as written, the answer, and what is asked. */
const LABELLED: readonly (readonly [
  options: readonly string[],
  answer: string,
  texts: readonly string[],
  meant: string,
])[] = [
  [["A. up", "B. down"], "B. down", ["up", "down"], "down"],
  [["A. up", "B. down"], "B", ["up", "down"], "down"],
  [["A. up", "B. down"], "(b)", ["up", "down"], "down"],
  [["A. up", "B. down"], "down", ["up", "down"], "down"],
  [["(a) up", "(b) down"], "(a) up", ["up", "down"], "up"],
  [["A) up", "B) down", "C)left"], "C", ["up", "down", "left"], "left"],
  [["A: up", "B: down"], "A", ["up", "down"], "up"],
  [["A. B", "B. A"], "A. B", ["B", "A"], "B"],
  // Not every option has the label of its place: these are texts.
  [["A. Smith", "B. Jones", "Nobody"], "Nobody", ["A. Smith", "B. Jones", "Nobody"], "Nobody"],
  [["B. Jones", "A. Smith"], "A. Smith", ["B. Jones", "A. Smith"], "A. Smith"],
  [["A cat", "B vitamins"], "A cat", ["A cat", "B vitamins"], "A cat"],
  [["A. up"], "A. up", ["A. up"], "A. up"],
  [["A", "B"], "B", ["A", "B"], "B"],
  [["A.", "B."], "B.", ["A.", "B."], "B."],
];

for (const [options, answer, texts, meant] of LABELLED) {
  test(`options ${JSON.stringify(options)}, answer ${answer}`, () => {
    const records = [{ video: "v", question: "q", candidates: options, answer }];
    const { questions, problems } = parsePromptFile(JSON.stringify(records), "list.json");
    assert.deepEqual(questions[0]?.item.options, texts);
    assert.equal(questions[0].item.answer, meant);
    const kinds = texts === options || texts.join() === options.join() ? [] : ["labelled-options"];
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      kinds,
    );
  });
}

test("lists of TVBench and MVBench are read as they are", () => {
  const text = JSON.stringify([
    { video: "x.mp4", question: "What?", candidates: ["Up ", "Down"], answer: "Up " },
    {
      video: "y.webm",
      question: "When?",
      candidates: ["a", "b", "a"],
      answer: "a",
      start: 0,
      end: 2.5,
      accurate_start: 1,
      fps: 3,
      question_id: "Q_7",
    },
  ]);
  const { questions, problems, benchmark } = parsePromptFile(
    text,
    "/data/json/action_antonym.json",
  );
  assert.equal(benchmark, true);
  assert.deepEqual(
    problems.map(({ kind, severity, message }) => [kind, severity, message]),
    [["duplicate-option", "warning", "option (C) repeats an earlier one"]],
  );
  assert.deepEqual(
    questions.map(({ item }) => [item.id, item.task, item.options, item.answer, item.endSeconds]),
    [
      [undefined, "Action Antonym", ["Up ", "Down"], "Up ", undefined],
      ["Q_7", "Action Antonym", ["a", "b", "a"], "a", 2.5],
    ],
  );
});

test("no text makes the parser throw, and every range lies in the text", () => {
  const pieces = fc.constantFrom(
    ..."\n -:[]{}\",'&*!|>?#%@`\t\\é😀",
    "video: ",
    "question: ",
    "options: ",
    "questions:",
    "answer: a",
    "candidates",
    '"video":',
    "  - ",
    "1e3",
    "null",
  );
  const text = fc.string({ unit: pieces, maxLength: 60 });
  fc.assert(
    fc.property(text, fc.constantFrom("a.vqa.yaml", "a.json"), (source, name) => {
      const lines = source.split(/\r\n|\n|\r/);
      const { questions, problems } = parsePromptFile(source, name);
      for (const { range } of [...questions, ...problems]) {
        assert.ok(range.startLine <= range.endLine && range.endLine < lines.length);
        assert.ok(range.endColumn <= (lines[range.endLine]?.length ?? 0) + 1);
      }
    }),
    { numRuns: 1000 },
  );
});

const WORDS = fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).map((s) => `x${s}`);

test("a written prompt file is read back as it was", () => {
  const text = WORDS.map((s) => s.replace(/[\uD800-\uDFFF]/g, "").replace(/\n+$/, ""));
  const item: fc.Arbitrary<PromptItem> = fc.record({
    question: text,
    options: fc.uniqueArray(
      text.map((s) => `${s}.`),
      { minLength: 0, maxLength: 4 },
    ),
    keywords: fc.constant([]),
    task: fc.option(text, { nil: undefined }),
    frames: fc.option(fc.integer({ min: 1, max: 64 }), { nil: undefined }),
    startSeconds: fc.option(fc.double({ min: 0, max: 9, noNaN: true }), { nil: undefined }),
  });
  fc.assert(
    fc.property(text, fc.array(item, { minLength: 1, maxLength: 3 }), (video, items) => {
      const withAnswers = items.map((one) => ({ ...one, answer: one.options[0] }));
      const { questions, problems } = parsePromptFile(promptFileText(video, withAnswers), "a.yaml");
      assert.deepEqual(problems, []);
      questions.forEach(({ item: read }, i) => {
        const {
          id: _,
          endSeconds: _e,
          template: _t,
          video: readVideo,
          ...rest
        } = {
          ...read,
          id: undefined,
        };
        assert.equal(readVideo, video);
        assert.deepEqual(rest, withAnswers[i]);
      });
      assert.equal(questions.length, items.length);
    }),
    { numRuns: 150 },
  );
});

test("offsets become lines and columns whatever the line endings", () => {
  const map = new LineMap("ab\r\nc\rd\n\ne");
  const at = (offset: number) => {
    const { startLine, startColumn } = map.range({ start: offset, end: offset });
    return [startLine, startColumn];
  };
  assert.deepEqual([0, 2, 4, 6, 8, 9, 10, 99].map(at), [
    [0, 0],
    [0, 2],
    [1, 0],
    [2, 0],
    [3, 0],
    [4, 0],
    [4, 1],
    [4, 1],
  ]);
});

test("the nearest candidate is the one with the fewest changes", () => {
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("", "abc"), 3);
  assert.deepEqual(nearest("Moves UP ", ["moves down", "moves up"]), {
    text: "moves up",
    distance: 0,
  });
  assert.equal(nearest("x", []), undefined);
});
