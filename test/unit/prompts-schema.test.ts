import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { parsePromptFile } from "../../src/prompts/parse.ts";
import { promptFileJsonSchema } from "../../src/prompts/schema.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const SCHEMA = JSON.parse(readFileSync(join(ROOT, "schemas", "vqa.schema.json"), "utf8"));
const validate = new Ajv({ allowUnionTypes: true }).compile(SCHEMA);

test("the committed JSON schema is the parser's own (schemas/make.ts remakes it)", () => {
  assert.deepEqual(SCHEMA, JSON.parse(JSON.stringify(promptFileJsonSchema())));
});

const q = { question: "Why?" };
const own = { video: "a.mp4", question: "Why?" };
const record = { ...own, candidates: ["x", "y"], answer: "x" };

const ACCEPTED: readonly unknown[] = [
  own,
  { video: "a.mp4", questions: [q] },
  { questions: [own] },
  { video: "a.mp4", frames: 8, start: 0, end: 2.5, template: "pllava", questions: [q, own] },
  [own],
  [record, { ...record, start: 1, end: 2, extra: { nested: [1] } }],
  [own, record],
  { ...own, id: 3, task: "count", options: ["1", 2, true], answer: 2, keywords: ["Why"] },
  { ...own, options: [] },
  { ...own, frames: 4096, start: 1, end: 2 },
  { ...own, note: "an unknown key is only warned of" },
];

const REFUSED: readonly unknown[] = [
  null,
  "text",
  5,
  [],
  {},
  q,
  { video: "a.mp4" },
  { video: "", question: "Why?" },
  { video: "a.mp4", question: "  " },
  { video: "a.mp4", question: null },
  { video: ["a.mp4"], question: "Why?" },
  { video: "a.mp4", questions: [] },
  { video: "a.mp4", questions: q },
  { video: "a.mp4", questions: ["Why?"] },
  { video: "a.mp4", questions: [{ options: ["x"] }] },
  { questions: [q] },
  { questions: [own, q] },
  [q],
  [own, "Why?"],
  [{ ...record, candidates: [] }],
  [{ ...record, candidates: "x" }],
  [{ video: "a.mp4", question: "Why?", candidates: ["x"] }],
  { ...own, options: "x" },
  { ...own, options: [["x"]] },
  { ...own, options: [null] },
  { ...own, options: Array(27).fill("x") },
  { ...own, answer: ["x"] },
  { ...own, answer: null },
  { ...own, keywords: "x" },
  { ...own, frames: 0 },
  { ...own, frames: 2.5 },
  { ...own, frames: "8" },
  { ...own, frames: 5000 },
  { ...own, start: -1 },
  { ...own, end: "2" },
  { ...own, template: 3 },
  { ...own, id: null },
  { ...own, task: 4 },
  { video: "a.mp4", frames: -1, questions: [q] },
  { video: "a.mp4", template: null, questions: [q] },
];

/** Whether the parser has an error for a value, written as JSON and as YAML alike. */
function parserAccepts(value: unknown): boolean {
  const text = JSON.stringify(value);
  const verdicts = ["a.vqa.json", "a.vqa.yaml"].map((name) =>
    parsePromptFile(text, name).problems.every(({ severity }) => severity !== "error"),
  );
  assert.equal(verdicts[0], verdicts[1], `JSON and YAML disagree on ${text}`);
  return verdicts[0] ?? false;
}

for (const value of ACCEPTED) {
  test(`schema and parser accept ${JSON.stringify(value)}`, () => {
    assert.ok(validate(value), JSON.stringify(validate.errors));
    assert.ok(parserAccepts(value));
  });
}

for (const value of REFUSED) {
  test(`schema and parser refuse ${JSON.stringify(value).slice(0, 90)}`, () => {
    assert.ok(!validate(value));
    assert.ok(!parserAccepts(value));
  });
}

test("every sample's prompt file fits the schema", () => {
  const names = readdirSync(join(ROOT, "samples")).filter((name) => name.endsWith(".vqa.yaml"));
  assert.ok(names.length >= 10);
  for (const name of names) {
    const text = readFileSync(join(ROOT, "samples", name), "utf8");
    assert.ok(validate(parse(text)), name);
    assert.deepEqual(parsePromptFile(text, name).problems, []);
  }
});
