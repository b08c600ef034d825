import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { InputError, ModelError } from "../../src/common/errors.ts";
import { readChatTemplate, renderChat } from "../../src/prompts/chat.ts";
import { type RenderedPrompt, renderPrompt } from "../../src/prompts/templates.ts";
import { wordRanges } from "../../src/prompts/words.ts";
import type { PromptItem } from "../../src/protocol/prompt-item.ts";

const ITEM: PromptItem = {
  question: "Which way did the ball move?",
  options: ["Up", "Down to the box", "Left"],
  answer: "Down to the box",
  keywords: ["ball", "box"],
};
const OPEN: PromptItem = { question: "What happens in the video?", options: [], keywords: [] };

/** The texts of a group, piece by piece. */
function texts(prompt: RenderedPrompt, group: string): string[] | undefined {
  return prompt.ranges.get(group)?.map(({ start, end }) => prompt.text.slice(start, end));
}

test("the multiple-choice prompt is the reference's, to the character", () => {
  const prompt = renderPrompt(ITEM);
  assert.equal(
    prompt.text,
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail " +
      "and movement of objects, and the action and pose of persons. Based on your observations, " +
      "select the best option that accurately addresses the question.\n" +
      " USER: <image>\n USER: Question: Which way did the ball move?\nOptions:\n(A) Up\n" +
      "(B) Down to the box\n(C) Left \nOnly give the best option. ASSISTANT:Best option:(",
  );
  assert.equal(prompt.template, "pllava");
  assert.equal(prompt.answer, "B");
});

test("an open-ended prompt has just the question", () => {
  const prompt = renderPrompt({ ...OPEN, answer: "the ball moves up" });
  assert.ok(
    prompt.text.endsWith("question.\n USER: <image>\n USER: What happens in the video? ASSISTANT:"),
  );
  assert.deepEqual(texts(prompt, "question"), [OPEN.question]);
  assert.deepEqual(texts(prompt, "question-only"), [OPEN.question]);
  assert.equal(prompt.ranges.has("true-option"), false);
  assert.equal(prompt.answer, "the ball moves up");
});

test("the groups' ranges are what METHODS.md says they hold", () => {
  const prompt = renderPrompt(ITEM);
  const block =
    "Question: Which way did the ball move?\nOptions:\n(A) Up\n(B) Down to the box\n(C) Left";
  assert.deepEqual(texts(prompt, "question"), [block]);
  assert.deepEqual(texts(prompt, "question-only"), [ITEM.question]);
  assert.deepEqual(texts(prompt, "option:A"), ["(A) Up"]);
  assert.deepEqual(texts(prompt, "option:B"), ["(B) Down to the box"]);
  assert.deepEqual(texts(prompt, "true-option"), ["(B) Down to the box"]);
  assert.deepEqual(texts(prompt, "false-options"), ["(A) Up", "(C) Left"]);
  assert.deepEqual(texts(prompt, "keyword:ball"), ["ball"]);
  assert.deepEqual(texts(prompt, "keyword:box"), ["box"]);
  assert.ok(texts(prompt, "system")?.[0]?.endsWith("question.\n USER: "));
});

test("without a known answer there is no true and no false option", () => {
  const prompt = renderPrompt({ ...ITEM, answer: undefined });
  assert.equal(prompt.ranges.has("true-option"), false);
  assert.equal(prompt.ranges.has("false-options"), false);
  assert.equal(prompt.answer, undefined);
});

test("of several options that equal the answer the last is the true one, as in the reference", () => {
  const prompt = renderPrompt({ ...ITEM, options: ["Up", "No", "Up"], answer: "Up", keywords: [] });
  assert.equal(prompt.answer, "C");
  assert.deepEqual(texts(prompt, "false-options"), ["(B) No"]);
});

test("spaces after the last option are left out, as in the reference", () => {
  const prompt = renderPrompt({
    ...ITEM,
    options: ["Up ", "Left  "],
    answer: "Left  ",
    keywords: [],
  });
  assert.ok(prompt.text.includes("(A) Up \n(B) Left \nOnly"));
  assert.deepEqual(texts(prompt, "option:A"), ["(A) Up"]);
  assert.deepEqual(texts(prompt, "true-option"), ["(B) Left"]);
});

test("a template of one's own is filled in, and its groups are found", () => {
  const template = "{video}{system}<q>{question}</q> {not a placeholder} A:";
  const prompt = renderPrompt({ ...OPEN, template }, { placeholder: "<vid>", system: "Look. " });
  assert.equal(prompt.text, "<vid>Look. <q>What happens in the video?</q> {not a placeholder} A:");
  assert.equal(prompt.template, "custom");
  assert.deepEqual(texts(prompt, "question"), [OPEN.question]);
  assert.deepEqual(texts(prompt, "system"), [""]);
});

test("placeholders inside a question are text", () => {
  const prompt = renderPrompt({ ...OPEN, question: "Is it {video} or {question}?" });
  assert.deepEqual(texts(prompt, "question"), ["Is it {video} or {question}?"]);
});

const BAD: readonly (readonly [what: string, item: Partial<PromptItem>, message: RegExp])[] = [
  [
    "an unknown template name",
    { template: "llava" },
    /"llava" is neither a name \(pllava, .*chat\) nor/,
  ],
  ["a template without a video", { template: "{question}" }, /\{video\} exactly once.* 0 times/],
  ["a template without a question", { template: "{video}" }, /\{question\} exactly once/],
  ["two videos", { template: "{video}{video}{question}" }, /\{video\} exactly once.* 2 times/],
  ["an unknown placeholder", { template: "{video}{question}{frames}" }, /has \{frames\}; known/],
  ["an empty question", { question: " \n" }, /question is empty/],
  ["an empty option", { options: ["Up", " "], answer: "Up" }, /option \(B\) is empty/],
  ["27 options", { options: Array(27).fill("x"), answer: "x" }, /27 options; up to 26/],
  ["a foreign answer", { answer: "Right" }, /"Right" is none of the options: "Up", "Down/],
  ["a keyword that does not occur", { keywords: ["bal"] }, /keyword "bal" is no word/],
  ["the video's placeholder in the question", { question: "an <image>?" }, /take it out/],
];

for (const [what, change, message] of BAD) {
  test(`${what} is refused with its reason`, () => {
    assert.throws(
      () => renderPrompt({ ...ITEM, keywords: [], ...change }),
      (error: Error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test("words are found whole, as written first and else whatever their case", () => {
  const found = (text: string, word: string) =>
    wordRanges(text, word).map(({ start, end }) => [start, end]);
  assert.deepEqual(found("a ball, Ball, ballball ball's _ball", "ball"), [
    [2, 6],
    [23, 27],
  ]);
  assert.deepEqual(found("First things", "first"), [[0, 5]]);
  assert.deepEqual(found("naïve nai\u0308ve", "nai"), []);
  assert.deepEqual(found("😀ball😀", "ball"), [[2, 6]]);
  assert.deepEqual(found("the moving direction", "moving direction"), [[4, 20]]);
  assert.deepEqual(found("黑猫在跑", "猫"), [[1, 2]]);
  assert.deepEqual(found("aXa aa", "aa"), [[4, 6]]);
  assert.deepEqual(found("x", ""), []);
  assert.deepEqual(found("(?) [a.b]", "a.b"), [[5, 8]]);
});

const CHAT =
  "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n" +
  "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}" +
  "{% if c.type == 'video' %}<video>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|end|>\n" +
  "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}";

test("a model's chat template shows the video, the question and the start of the answer", () => {
  const chat = { template: CHAT, bosToken: "<s>", placeholder: "<video>", system: "Look." };
  const prompt = renderChat(ITEM, chat);
  assert.equal(
    prompt.text,
    "<s><|system|>\nLook.<|end|>\n<|user|>\n<video>Question: Which way did the ball move?\n" +
      "Options:\n(A) Up\n(B) Down to the box\n(C) Left \nOnly give the best option.<|end|>\n" +
      "<|assistant|>\nBest option:(",
  );
  assert.equal(prompt.addSpecial, false, "the text has the beginning-of-text token already");
  assert.deepEqual(texts(prompt, "true-option"), ["(B) Down to the box"]);
  assert.equal(renderChat(OPEN, { ...chat, bosToken: undefined }).addSpecial, true);
});

test("a chat template of plain texts is given the placeholder in the text", () => {
  const template = "{% for m in messages %}{{ m.content }}{% endfor %} A:";
  assert.equal(renderChat(OPEN, { template }).text, "<image>\nWhat happens in the video? A:");
});

test("a chat template that cannot be used says why", () => {
  const render = (template: string) => () => renderChat(OPEN, { template });
  assert.throws(render("{% for %}"), ModelError);
  assert.throws(render("{{ raise_exception('roles must alternate') }}"), /roles must alternate/);
  assert.throws(render("fixed <image>"), /does not show the question/);
  assert.throws(render("{{ messages[0].content[1].text }} 'video'"), /does not show the video/);
  assert.throws(
    () => renderChat({ ...OPEN, question: "an <image>?" }, { template: CHAT }),
    InputError,
  );
});

test("a chat template is found wherever checkpoints keep it", async (t: TestContext) => {
  const folder = await mkdtemp(join(tmpdir(), "chat-"));
  t.after(() => rm(folder, { recursive: true }));
  assert.equal(await readChatTemplate(folder), undefined);
  const several = [
    { name: "tool_use", template: "no" },
    { name: "default", template: "from the list" },
  ];
  const put = (name: string, text: string) => writeFile(join(folder, name), text);
  await put("tokenizer_config.json", JSON.stringify({ chat_template: several }));
  assert.equal(await readChatTemplate(folder), "from the list");
  await put("chat_template.json", JSON.stringify({ chat_template: "from its file" }));
  assert.equal(await readChatTemplate(folder), "from its file");
  await put("chat_template.jinja", "plain");
  assert.equal(await readChatTemplate(folder), "plain");
  await rm(join(folder, "chat_template.jinja"));
  await put("chat_template.json", "{");
  await assert.rejects(readChatTemplate(folder), /chat_template\.json: is not JSON/);
});
