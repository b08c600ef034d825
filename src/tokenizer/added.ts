import { ModelError } from "../common/errors.ts";
import { shownValue } from "../common/shown.ts";
import { type AlignedText, alignedToItself, originOf, sliceAligned } from "./aligned.ts";
import { escapeRegExp, isObject, type JsonObject, MAX_TOKEN_ID, objectsOf } from "./json.ts";
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

/** tokenizer.json's added tokens, and those that only tokenizer_config.json has, by id. */
export function allAddedTokens(json: JsonObject, config: JsonObject): JsonObject[] {
  const own = objectsOf(json, "added_tokens");
  const known = new Set(own.map((token) => token.content));
  const further = isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {};
  return [
    ...own,
    ...Object.entries(further).flatMap(([id, token]) =>
      isObject(token) && !known.has(token.content) ? { ...token, id: Number(id) } : [],
    ),
  ];
}

/** Longest text of an added token; published ones have some tens of characters. */
const MAX_TOKEN_LENGTH = 4_096;

/**
 * The entries of a tokenizer.json's `added_tokens`.
 *
 * @throws ModelError for one without an id or a text.
 */
export function readAddedTokens(entries: readonly JsonObject[]): AddedToken[] {
  return entries.map((entry) => {
    const { id, content } = entry;
    if (!Number.isSafeInteger(id) || typeof id !== "number" || id < 0 || id > MAX_TOKEN_ID) {
      throw new ModelError(`an added token has the id ${shownValue(id)}`);
    }
    if (typeof content !== "string" || content === "") {
      throw new ModelError(`the added token ${id} has the text ${shownValue(content)}`);
    }
    if (content.length > MAX_TOKEN_LENGTH) {
      throw new ModelError(
        `the added token ${id} is ${content.length} characters long; at most ${MAX_TOKEN_LENGTH} are taken`,
      );
    }
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
const SPACE = /\p{White_Space}/u;
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
      // A character before the token may have two code units; one after it is read as a whole.
      const inWord = WORD_BEFORE.test(text.slice(Math.max(0, start - 2), start));
      if (token.singleWord && (inWord || WORD_AFTER.test(text.slice(end, end + 2)))) continue;
      if (token.leftStrip) while (start > done && SPACE.test(text.charAt(start - 1))) start--;
      if (token.rightStrip) while (end < text.length && SPACE.test(text.charAt(end))) end++;
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
