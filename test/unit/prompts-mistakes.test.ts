import assert from "node:assert/strict";
import test from "node:test";
import { parsePromptFile } from "../../src/prompts/parse.ts";
import type { PromptProblem } from "../../src/prompts/problems.ts";
import { covered } from "../support/text-ranges.ts";

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
    what: "options with letters of their own",
    text: '{video: a, question: Why?, options: ["A. up", "B. down"], answer: B}',
    kind: "labelled-options",
    at: '["A. up", "B. down"]',
    says: /bring their own letters \("A\. up"\); they are left out/,
    fixed: '{video: a, question: Why?, options: ["up", "down"], answer: "down"}',
    warning: true,
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

test("a second YAML document is an error at its place", () => {
  const text = "video: a.mp4\nquestion: q1\n---\nvideo: b.mp4\nquestion: q2\n";
  const { questions, problems } = parsePromptFile(text, "a.vqa.yaml");
  assert.deepEqual(questions, []);
  assert.equal(problems.length, 1);
  assert.match(problems[0]?.message ?? "", /holds a second YAML document/);
  assert.equal(problems[0]?.range.startLine, 2);
  const one = parsePromptFile("---\nvideo: a.mp4\nquestion: q1\n...\n", "a.vqa.yaml");
  assert.deepEqual(one.problems, []);
});

test("too long a YAML file is told its bound and what to do", () => {
  const lines = Array.from({ length: 5000 }, (_, i) => `- {question: Q${i}, options: [a, b, c]}`);
  const [problem] = parsePromptFile(`video: v\nquestions:\n${lines.join("\n")}`, "a.yaml").problems;
  assert.match(problem?.message ?? "", /more than 100,000 parts of YAML .*write it as JSON.*jsonl/);
});

test("a wrong line of JSON Lines is named", () => {
  const text = '{"video": "a", "question": "q"}\n\n{"video": "b"}\n{"video"\n';
  const [syntax, ...more] = parsePromptFile(text, "a.jsonl").problems;
  assert.deepEqual([syntax?.kind, syntax?.range.startLine, more], ["unparsable", 3, []]);
  const [missing] = parsePromptFile(text.replace('{"video"\n', ""), "a.jsonl").problems;
  assert.deepEqual([missing?.kind, missing?.range.startLine], ["missing-field", 2]);
});

/** Texts made to exhaust a parser; each must be answered, with a problem and no question. */
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
  // Unbounded work would take hours, or the whole stack.
  test(`${what}: refused`, { timeout: 60_000 }, () => {
    const { questions, problems } = parsePromptFile(text, name);
    assert.deepEqual(questions, []);
    assert.ok(problems.some(({ severity }) => severity === "error"));
  });
}
