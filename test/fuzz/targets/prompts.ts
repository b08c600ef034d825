import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readChatTemplate, renderChat } from "../../../src/prompts/chat.ts";
import { checkPromptFile } from "../../../src/prompts/files.ts";
import { renderPrompt } from "../../../src/prompts/templates.ts";
import { ROOT } from "../../support/bundle.ts";
import { changeText } from "../mutate.ts";
import type { Target } from "../target.ts";

const FIXTURES = join(ROOT, "test", "parity", "fixtures");

/** Chat templates of the checkpoints that the tests have. */
const TEMPLATES: string[] = [];
for (const name of readdirSync(FIXTURES).sort()) {
  const folder = join(FIXTURES, name);
  if (!existsSync(join(folder, "config.json"))) continue;
  const template = await readChatTemplate(folder).catch(() => undefined);
  if (template !== undefined && !TEMPLATES.includes(template)) TEMPLATES.push(template);
}

const ITEM = {
  question: "Which way does the circle go?",
  options: ["Left", "Right"],
  answer: "Left",
  keywords: ["circle"],
};

const SAMPLES = join(ROOT, "samples");

/** Prompt files: ours, and lists as the benchmarks have them. */
const PROMPT_FILES: readonly (readonly [name: string, text: string])[] = [
  ...readdirSync(SAMPLES)
    .filter((name) => /\.vqa\.(ya?ml|json)$/.test(name))
    .slice(0, 4)
    .map((name) => [name, readFileSync(join(SAMPLES, name), "utf8")] as const),
  [
    "several.vqa.yaml",
    "video: moving-direction-1.mp4\nframes: 8\nquestions:\n" +
      "  - id: a\n    question: Which way?\n    options: [Left, Right]\n    answer: Left\n" +
      "    keywords: [way]\n    start: 0\n    end: 2.5\n" +
      "  - question: >-\n      What is\n      there?\n    template: |\n      {question} <image>\n",
  ],
  [
    "list.json",
    JSON.stringify([
      { video: "a.mp4", question: "Which way?", candidates: ["Left", "Right"], answer: "Left" },
      { video: "b.mp4", question: "Who?", candidates: ["A", "B"], answer: "B", start: 1, end: 2 },
    ]),
  ],
  [
    "lines.vqa.json",
    JSON.stringify({ video: "a.mp4", question: "Which way?", options: ["Left", "Right"] }),
  ],
];

export const PROMPT_TARGETS: readonly Target[] = [
  {
    name: "prompts",
    shortRuns: 500,
    bases: PROMPT_FILES.length,
    run: async ({ base, edits }) => {
      const [name = "", text = ""] = PROMPT_FILES[base] ?? [];
      const changed = changeText(text, edits);
      const { questions, problems } = await checkPromptFile(join(SAMPLES, name), changed);
      const lines = changed.split(/\r\n|\n|\r/).length;
      for (const { range, message } of problems) {
        if (range.startLine < 0 || range.endLine >= lines || message.length > 20_000) {
          throw new Error(`a problem at line ${range.startLine}: ${message.slice(0, 200)}`);
        }
      }
      for (const { item } of questions) {
        if (item.template === undefined || !item.template.includes("{")) continue;
        renderPrompt(item);
      }
    },
    show: ({ base, edits }) => {
      const [name = "", text = ""] = PROMPT_FILES[base] ?? [];
      return `${name}: ${JSON.stringify(changeText(text, edits))}`;
    },
  },
  {
    name: "chat-template",
    shortRuns: 250,
    bases: TEMPLATES.length,
    run: async ({ base, edits }) => {
      const template = changeText(TEMPLATES[base] ?? "", edits);
      const folder = mkdtempSync(join(tmpdir(), "template-"));
      writeFileSync(join(folder, "chat_template.jinja"), template);
      const read = await readChatTemplate(folder);
      const { text } = renderChat(ITEM, { template: read ?? "", bosToken: "<s>" });
      if (text.length > 5_000_000) throw new Error(`a prompt of ${text.length} characters`);
    },
    show: ({ base, edits }) => JSON.stringify(changeText(TEMPLATES[base] ?? "", edits)),
  },
];
