import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { PromptItem } from "../../src/prompts/item.ts";
import { editDistance, nearest } from "../../src/prompts/nearest.ts";
import { parsePromptFile } from "../../src/prompts/parse.ts";
import { LineMap, type PromptProblem, type SourceRange } from "../../src/prompts/problems.ts";
import { promptFileText } from "../../src/prompts/write.ts";

/** The part of a text that a range covers. */
function covered(text: string, range: SourceRange): string {
  const lines = text.split("\n");
  const part = lines.slice(range.startLine, range.endLine + 1);
  const last = part.length - 1;
  part[last] = (part[last] ?? "").slice(0, range.endColumn);
  part[0] = (part[0] ?? "").slice(range.startColumn);
  return part.join("\n");
}

/** The text after a problem's fix. */
function mended(text: string, problem: PromptProblem | undefined): string {
  const lines = text.split("\n");
  const offset = (line: number, column: number) =>
    lines.slice(0, line).reduce((sum, before) => sum + before.length + 1, column);
  return [...(problem?.fix?.edits ?? [])]
    .map((edit) => ({
      start: offset(edit.range.startLine, edit.range.startColumn),
      end: offset(edit.range.endLine, edit.range.endColumn),
      text: edit.text,
    }))
    .sort((a, b) => b.start - a.start)
    .reduce((now, edit) => now.slice(0, edit.start) + edit.text + now.slice(edit.end), text);
}

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

/** What is wrong with a question: its other keys, the problem's kind, what it points at, its fix. */
const WRONG: readonly {
  readonly what: string;
  readonly text: string;
  readonly kind: PromptProblem["kind"];
  readonly at: string;
  readonly says: RegExp;
  readonly fixed?: string;
  readonly warning?: true;
}[] = [
  {
    what: "no question",
    text: "- {video: a.mp4, options: [x]}",
    kind: "missing-field",
    at: "video",
    says: /"question" is missing; it must be a text/,
  },
  {
    what: "no video",
    text: "question: Why?",
    kind: "missing-field",
    at: "question",
    says: /"video" is missing; it must be the path/,
  },
  {
    what: "options that are no list",
    text: "{video: a, question: Why?, options: Up}",
    kind: "wrong-type",
    at: "Up",
    says: /"options" must be a list/,
  },
  {
    what: "an option that is a list",
    text: "{video: a, question: Why?, options: [x, [y]]}",
    kind: "wrong-type",
    at: "[y]",
    says: /"options\[1\]" must be a text/,
  },
  {
    what: "an empty option",
    text: '{video: a, question: Why?, options: [x, " "]}',
    kind: "wrong-type",
    at: '" "',
    says: /option \(B\) is empty/,
  },
  {
    what: "half a frame",
    text: "{video: a, question: Why?, frames: 2.5}",
    kind: "wrong-type",
    at: "2.5",
    says: /"frames" must be a whole number from 1/,
  },
  {
    what: "a time before the clip",
    text: "{video: a, question: Why?, start: -1}",
    kind: "wrong-type",
    at: "-1",
    says: /"start" must be a number of seconds from 0/,
  },
  {
    what: "an empty key",
    text: "video: a\nquestion:\n",
    kind: "wrong-type",
    at: "",
    says: /"question" is empty; it must be a text/,
  },
  {
    what: "an answer that is no option",
    text: "{video: a, question: Why?, options: [moves up, moves down], answer: move up}",
    kind: "answer-not-an-option",
    at: "move up",
    says: /"move up" is none of the options/,
    fixed: '{video: a, question: Why?, options: [moves up, moves down], answer: "moves up"}',
  },
  {
    what: "an answer that is a label",
    text: "{video: a, question: Why?, options: [up, down], answer: (b)}",
    kind: "answer-not-an-option",
    at: "(b)",
    says: /none of the options/,
    fixed: '{video: a, question: Why?, options: [up, down], answer: "down"}',
  },
  {
    what: "an end before the start",
    text: "{video: a, question: Why?, start: 9.0, end: 2}",
    kind: "bad-time-range",
    at: "2",
    says: /ends at 2 s, not after its start at 9 s/,
    fixed: "{video: a, question: Why?, start: 2, end: 9.0}",
  },
  {
    what: "a file's start after a question's end",
    text: "{video: a, start: 5, questions: [{question: Why?, end: 4}]}",
    kind: "bad-time-range",
    at: "4",
    says: /ends at 4 s/,
    fixed: "{video: a, start: 4, questions: [{question: Why?, end: 5}]}",
  },
  {
    what: "an empty part",
    text: "{video: a, question: Why?, start: 2, end: 2}",
    kind: "bad-time-range",
    at: "2",
    says: /ends at 2 s/,
  },
  {
    what: "an id that is taken",
    text: "{video: a, questions: [{id: 1, question: b}, {question: c, id: 1}]}",
    kind: "duplicate-id",
    at: "1",
    says: /the id "1" is taken/,
  },
  {
    what: "a misspelt key",
    text: "{video: a, question: Why?, optoins: [x]}",
    kind: "unknown-key",
    at: "optoins",
    says: /"optoins" is not known and is left out/,
    fixed: "{video: a, question: Why?, options: [x]}",
    warning: true,
  },
  {
    what: "a foreign key",
    text: "{video: a, question: Why?, comment: x}",
    kind: "unknown-key",
    at: "comment",
    says: /"comment"/,
    warning: true,
  },
  {
    what: "a keyword that is not there",
    text: "{video: a, question: Why?, keywords: [Wh]}",
    kind: "keyword-not-found",
    at: "Wh",
    says: /keyword "Wh" is no word/,
  },
  {
    what: "a template without its video",
    text: '{video: a, question: Why?, template: "Q: {question}"}',
    kind: "bad-template",
    at: '"Q: {question}"',
    says: /\{video\} exactly once/,
  },
  {
    what: "a question that is no map",
    text: "{video: a, questions: [Why?]}",
    kind: "wrong-type",
    at: "Why?",
    says: /a question must be a set of keys/,
  },
  {
    what: "no questions",
    text: "{video: a, questions: []}",
    kind: "wrong-type",
    at: "[]",
    says: /at least one question/,
  },
  {
    what: "only a text",
    text: "hello",
    kind: "missing-field",
    at: "hello",
    says: /no question/,
  },
  {
    what: "a key written twice",
    text: "{video: a, question: b, video: c}",
    kind: "unparsable",
    at: "video",
    says: /"video" is written twice/,
  },
  {
    what: "an alias",
    text: "{video: &v a, question: *v}",
    kind: "unparsable",
    at: "*v",
    says: /uses the alias \*v; write the value out/,
  },
  {
    what: "a custom tag",
    text: "{video: !secret a, question: b}",
    kind: "unparsable",
    at: "!secret",
    says: /not YAML that can be read: .*tag/,
  },
];

for (const { what, text, kind, at, says, fixed, warning } of WRONG) {
  test(`${what} is pointed at${fixed === undefined ? "" : " and can be mended"}`, () => {
    const { questions, problems } = parsePromptFile(text, "a.vqa.yaml");
    const [problem] = problems;
    assert.equal(problems.length, 1, JSON.stringify(problems));
    assert.ok(problem !== undefined);
    assert.equal(problem.kind, kind);
    assert.equal(problem.severity, warning === true ? "warning" : "error");
    assert.match(problem.message, says);
    assert.equal(covered(text, problem.range), at);
    const kept = warning === true || kind === "duplicate-id" ? 1 : 0;
    assert.equal(questions.length, kept, "a question with an error is not offered");
    assert.equal(problem.fix !== undefined, fixed !== undefined);
    if (fixed === undefined) return;
    assert.equal(mended(text, problem), fixed);
    assert.deepEqual(parsePromptFile(fixed, "a.vqa.yaml").problems, [], "the fix mends it");
  });
}

test("a mistake in the file's own settings is said once, and no question is offered", () => {
  const text = "{video: a, template: odd, questions: [{question: b}, {question: c}]}";
  const { questions, problems } = parsePromptFile(text, "a.vqa.yaml");
  assert.deepEqual(
    problems.map(({ kind }) => kind),
    ["bad-template"],
  );
  assert.deepEqual(questions, []);
});

test("a renamed key in JSON keeps its quotes", () => {
  const text = '{"video": "a", "question": "Why?", "anwser": "x"}';
  const [problem] = parsePromptFile(text, "a.vqa.json").problems;
  assert.equal(mended(text, problem), '{"video": "a", "question": "Why?", "answer": "x"}');
});

test("broken JSON is pointed at", () => {
  const text = '{\n "video": "a",\n "question" "b"\n}';
  const [problem] = parsePromptFile(text, "a.vqa.json").problems;
  assert.equal(problem?.kind, "unparsable");
  assert.match(problem?.message ?? "", /^this file is not JSON: /);
  assert.equal(problem?.range.startLine, 2);
  const [cut] = parsePromptFile('{"video": "a', "a.vqa.json").problems;
  assert.match(cut?.message ?? "", /not JSON/);
});

test("broken YAML is pointed at", () => {
  const [problem] = parsePromptFile("video: a\nquestions:\n  - question: [b\n", "a.yaml").problems;
  assert.equal(problem?.kind, "unparsable");
  assert.match(problem?.message ?? "", /not YAML/);
});

/** Texts made to exhaust a parser; each must be answered soon, with a problem and no question. */
const HOSTILE: readonly (readonly [what: string, text: string, name: string])[] = [
  ["100,000 nested flow lists", "[".repeat(100_000), "a.yaml"],
  ["100,000 nested flow maps", "{a: ".repeat(100_000), "a.yaml"],
  ["50,000 nested block lists", "- ".repeat(50_000), "a.yaml"],
  ["50,000 nested keys", "? ".repeat(50_000), "a.yaml"],
  ["deep indentation", Array.from({ length: 500 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"), "a"],
  ["100,000 nested JSON lists", "[".repeat(1e5) + "]".repeat(1e5), "a.json"],
  ["a million quotes", '"'.repeat(1e6), "a.yaml"],
  ["a million brackets", "]".repeat(1e6), "a.yaml"],
  [
    "an alias bomb",
    `a: &a [x, x]\n${Array.from({ length: 30 }, (_, i) => `k${i}: &k${i} [*a, *a]`).join("\n")}`,
    "a.yaml",
  ],
  ["a merge key", "video: a\n<<: {question: b}", "a.yaml"],
  ["a million words", `[${"a,".repeat(5e5)}]`, "a.yaml"],
];

for (const [what, text, name] of HOSTILE) {
  test(`${what}: refused within five seconds`, () => {
    const start = performance.now();
    const { questions, problems } = parsePromptFile(text, name);
    assert.ok(performance.now() - start < 5000);
    assert.deepEqual(questions, []);
    assert.ok(problems.some(({ severity }) => severity === "error"));
  });
}

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
