import { InputError } from "../common/errors.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";
import type { CharRange } from "../tokenizer/aligned.ts";
import { type LabelledOption, layOutQuestion, type QuestionBlock } from "./question-block.ts";
import { SYSTEM_TEXT, VIDEO_PLACEHOLDER } from "./words.ts";

/** A prompt as one string, and where its groups stand in it. */
export interface RenderedPrompt {
  /** The whole prompt; `placeholder` stands in it for each run of video tokens. */
  readonly text: string;
  readonly placeholder: string;
  /** How often it does: once, or once a frame where the model has text between frames. */
  readonly placeholders: number;
  /** Name of the template, "custom" for one written in a prompt file, "chat" for the model's own. */
  readonly template: string;
  readonly question: string;
  readonly options: readonly LabelledOption[];
  /** Label of the right option, or the right answer in words; absent when unknown. */
  readonly answer: string | undefined;
  readonly keywords: readonly string[];
  /** Text groups by name, as half-open ranges of UTF-16 code units of `text`. */
  readonly ranges: ReadonlyMap<string, readonly CharRange[]>;
  /** Whether the tokenizer still puts its own tokens around: not when the text has them already. */
  readonly addSpecial: boolean;
}

/** The two forms of a named template. */
interface NamedTemplate {
  readonly choice: string;
  readonly open: string;
}

/**
 * Templates by name. `pllava` is the conversation of the paper's reference implementation, to the
 * character: mind the two spaces around the line break before "Only".
 */
const TEMPLATES: Readonly<Record<string, NamedTemplate>> = {
  pllava: {
    choice:
      "{system} USER: {video}\n USER: {question} \nOnly give the best option. ASSISTANT:Best option:(",
    open: "{system} USER: {video}\n USER: {question} ASSISTANT:",
  },
  /** The same conversation in Phi-3's turns, as the reference asks Mini-InternVL-4B. */
  "phi3-chat": {
    choice:
      "{system} <|user|>\n{video}\n <|user|>\n{question} \nOnly give the best option. <|assistant|>\nBest option:(",
    open: "{system} <|user|>\n{video}\n <|user|>\n{question} <|assistant|>\n",
  },
  /** The turns SmolVLM2's own processor lays out when there is a video. */
  smolvlm: {
    choice:
      "<|im_start|>User: {video}{question} \nOnly give the best option.<end_of_utterance>\nAssistant: Best option:(",
    open: "<|im_start|>User: {video}{question}<end_of_utterance>\nAssistant:",
  },
};

export const DEFAULT_TEMPLATE = "pllava";
/** Name of the checkpoint's own chat template, which is none of the templates here. */
export const CHAT_TEMPLATE = "chat";
/** What a template that a prompt file writes out is called. */
export const CUSTOM_TEMPLATE = "custom";
export const TEMPLATE_NAMES: readonly string[] = [...Object.keys(TEMPLATES), CHAT_TEMPLATE];

const PLACEHOLDERS = ["system", "question", "video"] as const;

export interface RenderOptions {
  /** Template of a question that names none: the model family's. */
  readonly template?: string | undefined;
  /** The token that stands for the video in the model's vocabulary; default `<image>`. */
  readonly placeholder?: string | undefined;
  /** What the model's processor writes for the video, placeholders in it; default one placeholder. */
  readonly video?: string | undefined;
  readonly system?: string | undefined;
}

/**
 * Renders a question as the prompt of a model. The item's own template wins over the options'; a
 * template is a name, or a text with `{video}`, `{question}` (the whole question with its options)
 * and, if wanted, `{system}`.
 *
 * @throws InputError when the template is unknown or malformed, or the question cannot be laid out.
 */
export function renderPrompt(item: PromptItem, options: RenderOptions = {}): RenderedPrompt {
  const wanted = item.template ?? options.template ?? DEFAULT_TEMPLATE;
  const named = Object.hasOwn(TEMPLATES, wanted) ? TEMPLATES[wanted] : undefined;
  const form = named === undefined ? wanted : item.options.length > 0 ? named.choice : named.open;
  const problem = named === undefined ? templateProblem(wanted) : undefined;
  if (problem !== undefined) throw new InputError(problem);

  const block = layOutQuestion(item);
  const placeholder = options.placeholder ?? VIDEO_PLACEHOLDER;
  const values = {
    system: options.system ?? SYSTEM_TEXT,
    question: block.text,
    video: options.video ?? placeholder,
  };
  let text = "";
  let questionAt = 0;
  for (const piece of form.split(/(\{(?:system|question|video)\})/)) {
    const name = PLACEHOLDERS.find((known) => piece === `{${known}}`);
    if (name === "question") questionAt = text.length;
    text += name === undefined ? piece : values[name];
  }
  return assembled(item, block, {
    text,
    questionAt,
    placeholder,
    video: values.video,
    template: named === undefined ? CUSTOM_TEMPLATE : wanted,
    addSpecial: true,
  });
}

/** What is wrong with a template's name or text; undefined when nothing is. */
export function templateProblem(template: string): string | undefined {
  if (TEMPLATE_NAMES.includes(template)) return undefined;
  const names = [...template.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  if (names.length === 0) {
    return (
      `the template ${JSON.stringify(template.slice(0, 80))} is neither a name ` +
      `(${TEMPLATE_NAMES.join(", ")}) nor a text with {video} and {question}`
    );
  }
  const unknown = names.find((name) => !PLACEHOLDERS.some((known) => known === name));
  if (unknown !== undefined) {
    return `the template has {${unknown}}; known are {system}, {question} and {video}`;
  }
  for (const name of PLACEHOLDERS) {
    const times = names.filter((found) => found === name).length;
    if (times > 1 || (times === 0 && name !== "system")) {
      return `the template must have {${name}} exactly once, but has it ${times} times`;
    }
  }
  return undefined;
}

/**
 * A prompt from its finished text and the place of its question block.
 *
 * @throws InputError when the placeholder stands in it elsewhere than in the video's words.
 */
export function assembled(
  item: PromptItem,
  block: QuestionBlock,
  made: {
    readonly text: string;
    readonly questionAt: number;
    readonly placeholder: string;
    /** What stands for the video, with as many placeholders as there are runs of video tokens. */
    readonly video: string;
    readonly template: string;
    readonly addSpecial: boolean;
  },
): RenderedPrompt {
  const { text, placeholder } = made;
  const times = text.split(placeholder).length - 1;
  const placeholders = made.video.split(placeholder).length - 1;
  if (times !== placeholders) {
    const wanted = placeholders === 1 ? "exactly once" : `${placeholders} times`;
    throw new InputError(
      `the prompt must have ${placeholder} ${wanted}, for the video, but has it ${times} times` +
        (block.text.includes(placeholder) ? "; take it out of the question and its options" : ""),
    );
  }
  const ranges = new Map<string, readonly CharRange[]>([
    ["system", [{ start: 0, end: text.indexOf(placeholder) }]],
  ]);
  if (placeholders > 1) {
    const video = text.indexOf(made.video);
    const from = text.indexOf(placeholder) + placeholder.length;
    ranges.set("frame-text", [{ start: from, end: video + made.video.length }]);
  }
  for (const [name, inBlock] of block.ranges) {
    ranges.set(
      name,
      inBlock.map(({ start, end }) => ({
        start: start + made.questionAt,
        end: end + made.questionAt,
      })),
    );
  }
  return {
    text,
    placeholder,
    placeholders,
    template: made.template,
    question: item.question,
    options: block.options,
    answer: block.answer,
    keywords: item.keywords,
    ranges,
    addSpecial: made.addSpecial,
  };
}
