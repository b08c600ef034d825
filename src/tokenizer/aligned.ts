import { checkSize } from "./bounds.ts";

/**
 * A text on its way from a prompt to its tokens: normalised, but every UTF-16 code unit still knows
 * the half-open range [starts[i], ends[i]) of the prompt's characters (UTF-16 indices) it stands for.
 *
 * The rules of alignment are those of the `tokenizers` library (its NormalizedString), so that a
 * token's range is the one that library's `offsets` give.
 */
export interface AlignedText {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Half-open range of a text's UTF-16 code units. */
export interface CharRange {
  readonly start: number;
  readonly end: number;
}

/** Builds an `AlignedText` piece by piece. */
export class AlignedBuilder {
  #text = "";
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** Adds a text whose every code unit stands for the same characters. */
  push(text: string, start: number, end: number): void {
    this.#text += text;
    for (let i = 0; i < text.length; i++) {
      this.#starts.push(start);
      this.#ends.push(end);
    }
  }

  get length(): number {
    return this.#starts.length;
  }

  build(): AlignedText {
    return { text: this.#text, starts: this.#starts, ends: this.#ends };
  }
}

/** A text that stands for itself; both halves of a surrogate pair stand for the whole character. */
export function alignedToItself(text: string): AlignedText {
  const builder = new AlignedBuilder();
  let at = 0;
  for (const char of text) {
    builder.push(char, at, at + char.length);
    at += char.length;
  }
  return builder.build();
}

/** The part [start, end) of an aligned text. */
export function sliceAligned(source: AlignedText, start: number, end: number): AlignedText {
  return {
    text: source.text.slice(start, end),
    starts: source.starts.slice(start, end),
    ends: source.ends.slice(start, end),
  };
}

/** The prompt's characters that the part [start, end) stands for; `end` > `start`. */
export function originOf(source: AlignedText, start: number, end: number): CharRange {
  return { start: source.starts[start] ?? 0, end: source.ends[end - 1] ?? 0 };
}

/** Replaces every character by a text (possibly empty) that stands for the same characters. */
export function mapCharacters(
  source: AlignedText,
  replace: (character: string) => string,
): AlignedText {
  const builder = new AlignedBuilder();
  let at = 0;
  for (const char of source.text) {
    const { start, end } = originOf(source, at, at + char.length);
    builder.push(replace(char), start, end);
    at += char.length;
  }
  return builder.build();
}

/** Puts a text in front, standing for the first character's characters; an empty text stays empty. */
export function prependAligned(source: AlignedText, prefix: string): AlignedText {
  if (source.text === "") return source;
  const builder = new AlignedBuilder();
  builder.push(prefix, source.starts[0] ?? 0, source.ends[0] ?? 0);
  const front = builder.build();
  return {
    text: front.text + source.text,
    starts: [...front.starts, ...source.starts],
    ends: [...front.ends, ...source.ends],
  };
}

/**
 * Replaces every match of a global pattern; the new text stands for the match's last character.
 *
 * @param part what replaces, for a message.
 * @throws ModelError when the text becomes too large.
 */
export function replaceAligned(
  source: AlignedText,
  pattern: RegExp,
  content: string,
  part: string,
): AlignedText {
  const builder = new AlignedBuilder();
  let at = 0;
  const keep = (upTo: number) => {
    for (; at < upTo; at++) {
      builder.push(source.text.charAt(at), source.starts[at] ?? 0, source.ends[at] ?? 0);
    }
  };
  for (const match of source.text.matchAll(pattern)) {
    const end = match.index + match[0].length;
    if (match[0] === "") continue;
    keep(match.index);
    checkSize(builder.length + content.length, part);
    builder.push(content, source.starts[end - 1] ?? 0, source.ends[end - 1] ?? 0);
    at = end;
  }
  keep(source.text.length);
  return builder.build();
}
