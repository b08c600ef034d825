import {
  AlignedBuilder,
  type AlignedText,
  type CharRange,
  mapCharacters,
  originOf,
  prependAligned,
  replaceAligned,
  sliceAligned,
} from "./aligned.ts";
import { type Announce, checkSize } from "./bounds.ts";
import { type JsonObject, objectsOf, patternOf, shownPattern, unsupported } from "./json.ts";

export type Normalizer = (text: AlignedText) => AlignedText;
type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

const KNOWN = [
  "BertNormalizer",
  "Lowercase",
  "NFC",
  "NFD",
  "NFKC",
  "NFKD",
  "Prepend",
  "Replace",
  "Sequence",
  "Strip",
  "StripAccents",
] as const;

/**
 * The `normalizer` of a tokenizer.json as a function on aligned texts.
 *
 * @throws ModelError for a kind that is not supported.
 */
export function compileNormalizer(
  config: JsonObject | null,
  announce: Announce = () => {},
): Normalizer {
  if (config === null) return (text) => text;
  switch (config.type) {
    case "Sequence": {
      const steps = objectsOf(config, "normalizers").map((step) =>
        compileNormalizer(step, announce),
      );
      return (text) => steps.reduce((current, step) => step(current), text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const form = config.type;
      return (text) => toUnicodeForm(text, form);
    }
    case "Lowercase":
      return lowercase;
    case "StripAccents":
      return (text) => mapCharacters(text, (char) => (/\p{M}/u.test(char) ? "" : char));
    case "Prepend": {
      const prefix = typeof config.prepend === "string" ? config.prepend : "▁";
      return (text) => {
        checkSize(text.text.length + prefix.length, "its Prepend normalizer");
        return prependAligned(text, prefix);
      };
    }
    case "Replace": {
      const pattern = patternOf(config, "the Replace normalizer");
      const content = typeof config.content === "string" ? config.content : "";
      const part = `the Replace normalizer's pattern ${shownPattern(pattern)}`;
      return (text) => {
        announce(part);
        return replaceAligned(text, pattern, content, part);
      };
    }
    case "Strip":
      return (text) => strip(text, config.strip_left === true, config.strip_right === true);
    case "BertNormalizer":
      return bertNormalizer(config);
    default:
      throw unsupported('"normalizer.type"', config.type, KNOWN);
  }
}

/** Character by character: no rule looks at the neighbours (a final sigma stays σ). */
function lowercase(text: AlignedText): AlignedText {
  return mapCharacters(text, (char) => char.toLowerCase());
}

function strip(source: AlignedText, left: boolean, right: boolean): AlignedText {
  const lead = left ? (/^\p{White_Space}*/u.exec(source.text)?.[0].length ?? 0) : 0;
  let end = source.text.length;
  if (right) while (end > lead && /\p{White_Space}/u.test(source.text.charAt(end - 1))) end--;
  return sliceAligned(source, lead, end);
}

/** A starter with all that can combine with it: marks, and the later jamo of a Hangul syllable. */
const CLUSTER = /[^\p{M}\u1160-\u11ff][\p{M}\u1160-\u11ff]*|[\p{M}\u1160-\u11ff]+/gu;

/**
 * Unicode normalisation with alignment, as the `tokenizers` library keeps it: a character that took
 * the place of others stands for the first of them; a mark that a decomposition brought in stands
 * for the character before it.
 */
function toUnicodeForm(source: AlignedText, form: UnicodeForm): AlignedText {
  const builder = new AlignedBuilder();
  for (const match of source.text.matchAll(CLUSTER)) {
    const before: CharRange[] = [];
    let at = match.index;
    for (const char of match[0]) {
      before.push(originOf(source, at, at + char.length));
      at += char.length;
    }
    let done = 0;
    for (const { char, change } of changes(match[0], form)) {
      const origin = before[Math.max(0, change > 0 ? done - 1 : done)] ?? before.at(-1);
      if (origin !== undefined) builder.push(char, origin.start, origin.end);
      if (change <= 0) done += 1 - change;
    }
  }
  return builder.build();
}

/** A character of a normalised cluster: 1 when it is new, -n when it also took the place of n more. */
interface Change {
  readonly char: string;
  readonly change: number;
}

function changes(cluster: string, form: UnicodeForm): Change[] {
  const decomposition = form.endsWith("KC") || form.endsWith("KD") ? "NFKD" : "NFD";
  const apart = [...cluster].flatMap((whole) =>
    [...whole.normalize(decomposition)].map((char, i) => ({ char, change: i === 0 ? 0 : 1 })),
  );
  // Equal characters keep their order when marks are sorted, so each is found by its value.
  const taken = (char: string, from: Change[]): Change => {
    const [found] = from.splice(
      Math.max(
        0,
        from.findIndex((c) => c.char === char),
      ),
      1,
    );
    return found ?? { char, change: 0 };
  };
  const sorted = [...cluster.normalize(decomposition)].map((char) => taken(char, apart));
  if (form === decomposition) return sorted;
  return [...cluster.normalize(form)].map((char) => {
    const parts = [...char.normalize("NFD")].map((part) => taken(part, sorted).change);
    return { char, change: parts.reduce((sum, change) => sum + change, 1 - parts.length) };
  });
}

const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/u;

/** BERT's cleaning: control characters go, Chinese characters stand apart, accents and case go. */
function bertNormalizer(config: JsonObject): Normalizer {
  const lower = config.lowercase !== false;
  const accents = config.strip_accents ?? lower;
  return (source) => {
    let text = source;
    if (config.clean_text !== false) {
      text = mapCharacters(text, (char) => {
        if (/[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/u.test(char)) return "";
        return /\p{White_Space}/u.test(char) ? " " : char;
      });
    }
    if (config.handle_chinese_chars !== false) {
      text = mapCharacters(text, (char) => (CHINESE.test(char) ? ` ${char} ` : char));
    }
    if (accents === true) {
      text = mapCharacters(toUnicodeForm(text, "NFD"), (char) =>
        /\p{Mn}/u.test(char) ? "" : char,
      );
    }
    return lower ? lowercase(text) : text;
  };
}
