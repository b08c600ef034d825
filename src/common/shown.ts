/** Longest message of an error: a hostile file can put much into one. */
const MAX_MESSAGE = 8_000;
/** Longest value that a message repeats. */
const MAX_VALUE = 200;

/** A text cut to a length, with a sign that it was. */
export function cutText(text: string, most = MAX_MESSAGE): string {
  return text.length > most ? `${text.slice(0, most)} …` : text;
}

/** A value of a file as a message repeats it: JSON, cut, and "not stated" where there is none. */
export function shownValue(value: unknown): string {
  const text = JSON.stringify(value);
  return text === undefined ? "not stated" : cutText(text, MAX_VALUE);
}
