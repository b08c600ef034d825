import { InputError } from "../common/errors.ts";
import type { LoadedQuestion } from "./files.ts";
import { isSameFile } from "./same-file.ts";

/** The questions about a clip; all of them when none names it (the clip then takes their place). */
export function questionsAbout(
  questions: readonly LoadedQuestion[],
  videoPath: string,
): readonly LoadedQuestion[] {
  const about = ownQuestions(questions, videoPath);
  return about.length > 0 ? about : questions;
}

/** The questions that name a clip, whatever path leads to it. */
export function ownQuestions(
  questions: readonly LoadedQuestion[],
  videoPath: string,
): readonly LoadedQuestion[] {
  const paths = [...new Set(questions.map((question) => question.videoPath))];
  const same = new Set(paths.filter((path) => isSameFile(path, videoPath)));
  return questions.filter((question) => same.has(question.videoPath));
}

/**
 * Chooses one question: by its id, by its number in the file counted from 1, or the first.
 *
 * @param wanted an id, or a number (also as text, where no question has it as its id).
 * @throws InputError listing the ids when there is no such question.
 */
export function selectQuestion<T extends { readonly item: { readonly id?: string | undefined } }>(
  questions: readonly T[],
  wanted: string | number | undefined,
): T {
  const byId = questions.find(({ item }) => item.id !== undefined && item.id === wanted);
  const number = wanted === undefined ? 1 : Number(wanted);
  const chosen = byId ?? (Number.isInteger(number) ? questions[number - 1] : undefined);
  if (chosen !== undefined) return chosen;
  if (questions.length === 0) throw new InputError("the prompt file holds no question");
  const names = questions.map(({ item }, i) => item.id ?? `${i + 1}`);
  const shown = names.slice(0, 50).join(", ") + (names.length > 50 ? ", …" : "");
  throw new InputError(`there is no question ${JSON.stringify(wanted)}; there are: ${shown}`);
}
