import { MAX_OPTIONS, optionLabel } from "./words.ts";

/** A label before an option's text: "A. …", "A) …", "(A) …", "A: …". */
const LABEL = /^\s*(?:\(([A-Za-z])\)|([A-Za-z])[.):])\s*(?=\S)/;

/**
 * A question whose options bring their own labels ("A. Up", "B. Down", as Video-MME writes them),
 * without them, because the prompt writes its own: "(A) Up". Only where every option has the label of
 * its place, and there are at least two: then it is a label, and not the beginning of a text. The
 * answer loses its label, too; a letter alone is the option of that label.
 *
 * @returns the question itself where nothing is to be done.
 */
export function withoutLabels<
  T extends { options: readonly string[]; answer?: string | undefined },
>(item: T): T {
  const { options, answer } = item;
  if (options.length < 2 || options.length > MAX_OPTIONS) return item;
  if (!options.every((option, i) => labelOf(option) === optionLabel(i))) return item;
  const texts = options.map((option) => option.replace(LABEL, ""));
  return {
    ...item,
    options: texts,
    answer: answer === undefined ? undefined : meant(answer, item, texts),
  };
}

function labelOf(option: string): string | undefined {
  const found = LABEL.exec(option);
  return (found?.[1] ?? found?.[2])?.toUpperCase();
}

/** The option's text that an answer stands for; the answer itself when it stands for none. */
function meant(
  answer: string,
  { options }: { readonly options: readonly string[] },
  texts: readonly string[],
): string {
  const letter = /^\s*\(?([A-Za-z])[.):]?\s*$/.exec(answer)?.[1]?.toUpperCase();
  const at = options.indexOf(answer);
  const labelled = at >= 0 ? at : options.findIndex((_, i) => optionLabel(i) === letter);
  return texts[labelled] ?? answer;
}
