import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import { InputError, ModelError } from "../engine/errors.ts";
import type { PromptItem } from "./item.ts";
import { layOutQuestion } from "./question-block.ts";
import { assembled, type RenderedPrompt } from "./templates.ts";
import { VIDEO_PLACEHOLDER } from "./words.ts";

/** A chat template and the texts it may use. */
export interface ChatTemplate {
  /** Jinja, as the checkpoint has it. */
  readonly template: string;
  readonly bosToken?: string | undefined;
  readonly eosToken?: string | undefined;
  /** What stands for the video in the rendered text; default `<image>`. */
  readonly placeholder?: string | undefined;
  /** Text of a system message; none when absent. */
  readonly system?: string | undefined;
}

/** What is asked after the options, and how the answer begins: the paper's reference wording. */
const CHOICE_REQUEST = " \nOnly give the best option.";
const CHOICE_ANSWER = "Best option:(";

/**
 * Renders a question with a checkpoint's own chat template: one user turn with the video and the
 * question, and the opening of the assistant's turn, which for a multiple choice already says
 * "Best option:(" so that the next token is the letter.
 *
 * @throws ModelError when the template cannot be run, or does not show the question or the video.
 * @throws InputError when the question cannot be laid out.
 */
export function renderChat(item: PromptItem, chat: ChatTemplate): RenderedPrompt {
  const block = layOutQuestion(item);
  const placeholder = chat.placeholder ?? VIDEO_PLACEHOLDER;
  if (block.text.includes(placeholder)) {
    throw new InputError(`the question or an option contains ${placeholder}; take it out`);
  }
  const choice = block.options.length > 0;
  const question = choice ? block.text + CHOICE_REQUEST : block.text;
  const system = chat.system === undefined ? [] : [{ role: "system", content: chat.system }];
  let text: string;
  try {
    text = new Template(chat.template).render({
      messages: [...system, { role: "user", content: userContent(chat, placeholder, question) }],
      bos_token: chat.bosToken ?? "",
      eos_token: chat.eosToken ?? "",
      add_generation_prompt: true,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ModelError(`the model's chat template cannot be run: ${why}`);
  }
  if (choice) text += CHOICE_ANSWER;
  const questionAt = text.indexOf(block.text);
  if (questionAt < 0) throw new ModelError("the model's chat template does not show the question");
  if (!text.includes(placeholder)) {
    throw new ModelError(`the model's chat template does not show the video as ${placeholder}`);
  }
  const hasBos = chat.bosToken !== undefined && text.startsWith(chat.bosToken);
  return assembled(item, block, {
    text,
    questionAt,
    placeholder,
    template: "chat",
    addSpecial: !hasBos,
  });
}

/** Templates of vision models take a list of parts; those of plain language models take a text. */
function userContent(chat: ChatTemplate, placeholder: string, question: string) {
  const kind = ["video", "image"].find((part) => new RegExp(`['"]${part}['"]`).test(chat.template));
  if (kind === undefined) return `${placeholder}\n${question}`;
  return [{ type: kind }, { type: "text", text: question }];
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

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new ModelError(`${file}: cannot be read (${error.code})`);
  });
}
