import { basename } from "node:path";
import type { PromptItem } from "../../protocol/prompt-item.ts";
import { ask, pick } from "../window.ts";

/** Options are typed in one line, apart by this. */
const SEPARATOR = ";";

/** The options in a line that the user typed: trimmed, without empty ones. */
export function splitOptions(line: string): string[] {
  return line
    .split(SEPARATOR)
    .map((option) => option.trim())
    .filter((option) => option !== "");
}

function optionsProblem(line: string): string | undefined {
  const options = splitOptions(line);
  if (options.length === 1)
    return `At least two options are needed, with "${SEPARATOR}" between them`;
  if (new Set(options).size < options.length) return "Two options are the same";
  return undefined;
}

/**
 * Asks for a question about a clip: its text, its options (none for an open-ended question), and the
 * right one. Undefined when the user leaves.
 */
export async function askQuestion(
  clip: string,
  before: PromptItem | undefined,
): Promise<PromptItem | undefined> {
  const title = `Ask about ${basename(clip)}`;
  const question = await ask({
    title: `${title} (1/3)`,
    prompt: "Question",
    placeHolder: "In which direction does the circle move?",
    value: before?.question ?? "",
    stay: true,
    problem: (text) => (text.trim() === "" ? "A question is needed" : undefined),
  });
  if (question === undefined) return undefined;
  const line = await ask({
    title: `${title} (2/3)`,
    prompt: `Options, with "${SEPARATOR}" between them; leave empty for an open-ended question`,
    placeHolder: "Left; Right; Up; Down",
    value: before?.options.join(`${SEPARATOR} `) ?? "",
    stay: true,
    problem: optionsProblem,
  });
  if (line === undefined) return undefined;
  const options = splitOptions(line);
  const answer = await askAnswer(`${title} (3/3)`, options, before?.answer);
  if (answer === undefined) return undefined;
  const known = answer === "" ? {} : { answer };
  return { question: question.trim(), options, keywords: [], ...known };
}

/** The right answer, empty when it is not known; undefined when the user leaves. */
async function askAnswer(
  title: string,
  options: readonly string[],
  before: string | undefined,
): Promise<string | undefined> {
  if (options.length === 0) {
    const words = await ask({
      title,
      prompt: "Right answer in words; leave empty when it is not known",
      value: before ?? "",
      stay: true,
    });
    return words?.trim();
  }
  const unknown = { label: "Not known", icon: "question", answer: "" };
  const items = options.map((option) => ({ label: option, answer: option }));
  const picked = await pick([...items, unknown], {
    title,
    placeHolder: "Which option is right?",
    stay: true,
  });
  return picked?.answer;
}
