import {
  type AlignedText,
  mapCharacters,
  prependAligned,
  replaceAligned,
  sliceAligned,
} from "./aligned.ts";
import type { Announce } from "./bounds.ts";
import { bytesToPiece } from "./bytes.ts";
import { type JsonObject, objectsOf, patternOf, shownPattern, unsupported } from "./json.ts";

/** Cuts a text into the words that are tokenised apart; empty ones are left out. */
export type Splitter = (text: AlignedText) => AlignedText[];

const BEHAVIORS = [
  "Removed",
  "Isolated",
  "Contiguous",
  "MergedWithPrevious",
  "MergedWithNext",
] as const;
type Behavior = (typeof BEHAVIORS)[number];

const KNOWN = [
  "BertPreTokenizer",
  "ByteLevel",
  "CharDelimiterSplit",
  "Digits",
  "Metaspace",
  "Punctuation",
  "Sequence",
  "Split",
  "Whitespace",
  "WhitespaceSplit",
] as const;

const SPACE = /\p{White_Space}+/gu;
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu;
const WORD_OR_SYMBOLS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{White_Space}]+/gu;
/** GPT-2's words: contractions, letters, numbers, other symbols, each with the space before it. */
const GPT2_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/**
 * The `pre_tokenizer` of a tokenizer.json as a function on aligned texts.
 *
 * @throws ModelError for a kind that is not supported.
 */
export function compileSplitter(
  config: JsonObject | null,
  announce: Announce = () => {},
): Splitter {
  if (config === null) return (text) => [text];
  switch (config.type) {
    case "Sequence": {
      const steps = objectsOf(config, "pretokenizers").map((step) =>
        compileSplitter(step, announce),
      );
      return (text) => steps.reduce((parts, step) => parts.flatMap(step), [text]);
    }
    case "BertPreTokenizer":
      return (text) =>
        cut(text, SPACE, "Removed").flatMap((part) => cut(part, PUNCTUATION, "Isolated"));
    case "Whitespace":
      return (text) => cut(text, WORD_OR_SYMBOLS, "Removed", true);
    case "WhitespaceSplit":
      return (text) => cut(text, SPACE, "Removed");
    case "CharDelimiterSplit": {
      const pattern = patternOf({ pattern: { String: config.delimiter } }, "CharDelimiterSplit");
      return (text) => cut(text, pattern, "Removed");
    }
    case "Punctuation": {
      const behavior = behaviorOf(config, "Isolated");
      return (text) => cut(text, PUNCTUATION, behavior);
    }
    case "Digits": {
      const behavior = config.individual_digits === true ? "Isolated" : "Contiguous";
      return (text) => cut(text, /\p{N}/gu, behavior);
    }
    case "Split": {
      const pattern = patternOf(config, "the Split pre-tokenizer");
      const behavior = behaviorOf(config);
      const part = `the Split pre-tokenizer's pattern ${shownPattern(pattern)}`;
      return (text) => {
        announce(part);
        return cut(text, pattern, behavior, config.invert === true);
      };
    }
    case "Metaspace":
      return metaspace(config);
    case "ByteLevel":
      return byteLevel(config);
    default:
      throw unsupported('"pre_tokenizer.type"', config.type, KNOWN);
  }
}

function behaviorOf(config: JsonObject, fallback?: Behavior): Behavior {
  const behavior = BEHAVIORS.find((known) => known === (config.behavior ?? fallback));
  if (behavior === undefined) {
    throw unsupported('"behavior" of a pre-tokenizer', config.behavior, BEHAVIORS);
  }
  return behavior;
}

/** Spaces become "▁", one is put in front, and each begins a word (unless `split` is false). */
function metaspace(config: JsonObject): Splitter {
  const mark = typeof config.replacement === "string" ? config.replacement : "▁";
  const scheme = config.prepend_scheme ?? (config.add_prefix_space === false ? "never" : "always");
  const marks = patternOf({ pattern: { String: mark } }, "Metaspace");
  return (source) => {
    let text = replaceAligned(source, / /g, mark, "its Metaspace pre-tokenizer");
    const wanted = scheme === "always" || (scheme === "first" && text.starts[0] === 0);
    if (wanted && !text.text.startsWith(mark)) text = prependAligned(text, mark);
    return config.split === false ? [text] : cut(text, marks, "MergedWithNext");
  };
}

/** GPT-2's words in bytes, one letter per byte. */
function byteLevel(config: JsonObject): Splitter {
  return (source) => {
    const spaced = config.add_prefix_space !== false && !source.text.startsWith(" ");
    const text = spaced ? prependAligned(source, " ") : source;
    const words = config.use_regex === false ? [text] : cut(text, GPT2_WORDS, "Isolated");
    const encoder = new TextEncoder();
    return words.map((word) => mapCharacters(word, (char) => bytesToPiece(encoder.encode(char))));
  };
}

/** Cuts at the matches of a global pattern; `invert` takes what lies between them as the matches. */
export function cut(
  source: AlignedText,
  pattern: RegExp,
  behavior: Behavior,
  invert = false,
): AlignedText[] {
  const parts: { start: number; end: number; match: boolean }[] = [];
  let at = 0;
  for (const found of source.text.matchAll(pattern)) {
    const end = found.index + found[0].length;
    if (found.index > at) parts.push({ start: at, end: found.index, match: invert });
    if (end > found.index) parts.push({ start: found.index, end, match: !invert });
    at = end;
  }
  if (at < source.text.length) {
    parts.push({ start: at, end: source.text.length, match: invert });
  }
  return arranged(parts, behavior).map((part) => sliceAligned(source, part.start, part.end));
}

interface Part {
  readonly start: number;
  readonly end: number;
  readonly match: boolean;
}

function arranged(parts: readonly Part[], behavior: Behavior): Part[] {
  if (behavior === "Removed") return parts.filter((part) => !part.match);
  if (behavior === "Isolated") return [...parts];
  const backwards = behavior === "MergedWithNext";
  const kept: Part[] = [];
  let before: Part | undefined;
  for (const part of backwards ? [...parts].reverse() : parts) {
    const joins =
      behavior === "Contiguous" ? part.match === before?.match : part.match && !before?.match;
    const last = kept.at(-1);
    if (joins && last !== undefined) {
      kept[kept.length - 1] = {
        start: Math.min(last.start, part.start),
        end: Math.max(last.end, part.end),
        match: part.match,
      };
    } else {
      kept.push(part);
    }
    before = part;
  }
  return backwards ? kept.reverse() : kept;
}
