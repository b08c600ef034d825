import { join } from "node:path";
import { InputError, ModelError } from "../common/errors.ts";
import { failureReason, systemCode } from "../common/file-failure.ts";
import { readRegularFile } from "../common/regular-file.ts";
import { decodeText } from "../common/text.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";
import { renderTemplate } from "./jinja/render.ts";
import type { ChatValues, ChoiceWording } from "./prompt-spec.ts";
import { layOutQuestion } from "./question-block.ts";
import { assembled, CHAT_TEMPLATE, type RenderedPrompt } from "./templates.ts";
import { VIDEO_PLACEHOLDER } from "./words.ts";

/** A chat template and the texts it may use. */
export interface ChatTemplate {
  /** Jinja, as the checkpoint has it. */
  readonly template: string;
  readonly bosToken?: string | undefined;
  /** What else the template finds under its tokens' names (`eos_token`, `unk_token` …). */
  readonly specialTokens?: Readonly<Record<string, string>> | undefined;
  /** The token that stands for the video in the model's vocabulary; default `<image>`. */
  readonly placeholder?: string | undefined;
  /** What the template writes for the video; default the placeholder. */
  readonly marker?: string | undefined;
  /** What the model's processor writes in the marker's place; default the placeholder. */
  readonly video?: string | undefined;
  /** How a multiple choice is asked for; default as the paper asks PLLaVA. */
  readonly choice?: ChoiceWording | undefined;
  readonly values?: ChatValues | undefined;
  /** Text of a system message; none when absent. */
  readonly system?: string | undefined;
}

/** The paper's reference wording. */
const CHOICE: ChoiceWording = {
  request: " \nOnly give the best option.",
  answer: "Best option:(",
};

/**
 * Renders a question with a checkpoint's own chat template: one user turn with the video and the
 * question, and the opening of the assistant's turn, which for a multiple choice already says
 * "Best option:(", or what else the model's choices begin with, so that the next token is the letter.
 *
 * @throws ModelError when the template cannot be run, or does not show the question or the video.
 * @throws InputError when the question cannot be laid out.
 */
export function renderChat(item: PromptItem, chat: ChatTemplate): RenderedPrompt {
  const block = layOutQuestion(item);
  const placeholder = chat.placeholder ?? VIDEO_PLACEHOLDER;
  const marker = chat.marker ?? placeholder;
  const video = chat.video ?? placeholder;
  const taken = [placeholder, marker].find((token) => block.text.includes(token));
  if (taken !== undefined) {
    throw new InputError(`the question or an option contains ${taken}; take it out`);
  }
  const choice = block.options.length > 0 ? (chat.choice ?? CHOICE) : undefined;
  const question = block.text + (choice?.request ?? "");
  const system = chat.system === undefined ? [] : [{ role: "system", content: chat.system }];
  let text: string;
  try {
    // As transformers calls it: without tools and documents, which are None and not left out.
    text = renderTemplate(chat.template, {
      messages: [...system, { role: "user", content: userContent(chat, marker, question) }],
      tools: null,
      documents: null,
      add_generation_prompt: true,
      ...(chat.bosToken === undefined ? {} : { bos_token: chat.bosToken }),
      ...chat.specialTokens,
      ...Object.fromEntries((chat.values?.placeholderNames ?? []).map((name) => [name, marker])),
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const named = error instanceof RangeError ? "it nests too deeply" : why;
    throw new ModelError(`the model's chat template cannot be run: ${named}`);
  }
  text += choice?.answer ?? "";
  const times = text.split(marker).length - 1;
  if (times !== 1) {
    const why = times === 0 ? "does not show the video" : `shows the video ${times} times`;
    throw new ModelError(`the model's chat template ${why} (as ${marker})`);
  }
  // A function, because a replacement's text would give "$" a meaning.
  text = text.replace(marker, () => video);
  const questionAt = text.indexOf(block.text, text.indexOf(video) + video.length);
  if (questionAt < 0) {
    throw new ModelError("the model's chat template does not show the question after the video");
  }
  const hasBos = chat.bosToken !== undefined && text.startsWith(chat.bosToken);
  return assembled(item, block, {
    text,
    questionAt,
    placeholder,
    video,
    template: CHAT_TEMPLATE,
    addSpecial: !hasBos,
  });
}

/** Templates of vision models take a list of parts; those of plain language models take a text. */
function userContent(chat: ChatTemplate, marker: string, question: string) {
  const kind = ["video", "image"].find((part) => new RegExp(`['"]${part}['"]`).test(chat.template));
  if (kind === undefined) return `${marker}\n${question}`;
  return [
    { type: kind, ...chat.values?.videoKeys },
    { type: "text", text: question },
  ];
}

/**
 * The chat template of a model folder: `chat_template.jinja`, `chat_template.json`, or the key
 * `chat_template` of tokenizer_config.json (of several named ones, "default"); undefined when there
 * is none.
 *
 * @throws ModelError when a file that should hold it is damaged.
 */
export async function readChatTemplate(folder: string): Promise<string | undefined> {
  const plain = await readIfThere(join(folder, "chat_template.jinja"));
  if (plain !== undefined) return plain;
  for (const name of ["chat_template.json", "processor_config.json", "tokenizer_config.json"]) {
    const file = join(folder, name);
    const text = await readIfThere(file);
    if (text === undefined) continue;
    let value: unknown;
    try {
      value = (JSON.parse(text) as { chat_template?: unknown } | null)?.chat_template;
    } catch {
      throw new ModelError(`${file}: is not JSON; copy or download it again`);
    }
    const template = Array.isArray(value)
      ? value.find((entry) => entry?.name === "default")?.template
      : value;
    if (typeof template === "string") return template;
  }
  return undefined;
}

/** Bytes of a file that a chat template stands in, tokenizer_config.json with its tokens among them. */
const MAX_TEMPLATE_BYTES = 50_000_000;

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return decodeText(await readRegularFile(file, MAX_TEMPLATE_BYTES));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new ModelError(`${file}: cannot be read: ${failureReason(error)}`);
  }
}
