import { type AlignedText, alignedToItself, originOf, sliceAligned } from "./aligned.ts";
import { escapeRegExp, type JsonObject, objectsOf } from "./json.ts";
import type { Normalizer } from "./normalizers.ts";
import type { TokenSpan } from "./pieces.ts";

/** A token outside the model's own pieces: matched in the text before anything else is done. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly singleWord: boolean;
  /** Whether whitespace to the left, to the right, belongs to the token. */
  readonly leftStrip: boolean;
  readonly rightStrip: boolean;
  /** Whether it is looked for in the normalised text. */
  readonly normalized: boolean;
  readonly special: boolean;
}

/** Either a token found, or a stretch of text between tokens. */
export type Section = TokenSpan | AlignedText;

/** The `added_tokens` of a tokenizer.json; malformed entries are the library's to refuse. */
export function readAddedTokens(tokenizer: JsonObject): AddedToken[] {
  return objectsOf(tokenizer, "added_tokens").flatMap((entry) => {
    const { id, content } = entry;
    if (typeof id !== "number" || typeof content !== "string" || content === "") return [];
    return {
      id,
      content,
      singleWord: entry.single_word === true,
      leftStrip: entry.lstrip === true,
      rightStrip: entry.rstrip === true,
      normalized: entry.normalized === true,
      special: entry.special === true,
    };
  });
}

const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u;

/**
 * Finds added tokens in a text, leftmost first and longest at a place.
 *
 * @param tokens tokens by the text to look for.
 */
export function addedTokenFinder(
  tokens: ReadonlyMap<string, AddedToken>,
): (source: AlignedText) => Section[] {
  if (tokens.size === 0) return (source) => [source];
  const pattern = new RegExp(
    [...tokens.keys()]
      .sort((a, b) => b.length - a.length)
      .map(escapeRegExp)
      .join("|"),
    "gu",
  );
  return (source) => {
    const { text } = source;
    const sections: Section[] = [];
    let done = 0;
    for (const match of text.matchAll(pattern)) {
      const token = tokens.get(match[0]);
      let start = match.index;
      let end = start + match[0].length;
      if (token === undefined || start < done) continue;
      const before = text.slice(0, start);
      const after = text.slice(end);
      if (token.singleWord && (WORD_BEFORE.test(before) || WORD_AFTER.test(after))) continue;
      if (token.leftStrip) {
        start = Math.max(done, before.search(/\p{White_Space}*$/u));
      }
      if (token.rightStrip) end += /^\p{White_Space}*/u.exec(after)?.[0].length ?? 0;
      if (start > done) sections.push(sliceAligned(source, done, start));
      sections.push({ id: token.id, ...originOf(source, start, end) });
      done = end;
    }
    if (done < text.length) sections.push(sliceAligned(source, done, text.length));
    return sections;
  };
}

/** The two finders of a tokenizer: on the raw text, and on the normalised text between. */
export function addedTokenFinders(tokens: readonly AddedToken[], normalize: Normalizer) {
  const raw = tokens.filter((token) => !token.normalized);
  const normalized = tokens.filter((token) => token.normalized);
  return {
    raw: addedTokenFinder(new Map(raw.map((token) => [token.content, token]))),
    normalized: addedTokenFinder(
      new Map(normalized.map((token) => [normalize(alignedToItself(token.content)).text, token])),
    ),
  };
}

export function isToken(section: Section): section is TokenSpan {
  return "id" in section;
}
