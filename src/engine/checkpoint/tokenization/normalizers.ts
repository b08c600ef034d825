import {
  AlignedBuilder,
  type AlignedText,
  mapCharacters,
  originOf,
  prependAligned,
  replaceAligned,
  sliceAligned,
} from "./aligned.ts";
import { type JsonObject, objectsOf, patternOf, unsupported } from "./json.ts";

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
export function compileNormalizer(config: JsonObject | null): Normalizer {
  if (config === null) return (text) => text;
  switch (config.type) {
    case "Sequence": {
      const steps = objectsOf(config, "normalizers").map(compileNormalizer);
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
      return (text) => prependAligned(text, prefix);
    }
    case "Replace": {
      const pattern = patternOf(config, "the Replace normalizer");
      const content = typeof config.content === "string" ? config.content : "";
      return (text) => replaceAligned(text, pattern, content);
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
  const rest = source.text.slice(lead);
  const trail = right ? (/\p{White_Space}*$/u.exec(rest)?.[0].length ?? 0) : 0;
  return sliceAligned(source, lead, source.text.length - trail);
}

/** A starter with all that can combine with it: marks, and the later jamo of a Hangul syllable. */
const CLUSTER = /[^\p{M}\u1160-\u11ff][\p{M}\u1160-\u11ff]*|[\p{M}\u1160-\u11ff]+/gu;

/**
 * Unicode normalisation with alignment. Within a cluster the first character stands for the first
 * one before, the others, counted from the end, for those before counted from the end: composition
 * happens only into the starter.
 */
function toUnicodeForm(source: AlignedText, form: UnicodeForm): AlignedText {
  const builder = new AlignedBuilder();
  for (const match of source.text.matchAll(CLUSTER)) {
    const before: { start: number; end: number }[] = [];
    let at = match.index;
    for (const char of match[0]) {
      before.push(originOf(source, at, at + char.length));
      at += char.length;
    }
    const after = [...match[0].normalize(form)];
    after.forEach((char, i) => {
      const from = i === 0 ? 0 : Math.max(0, before.length - after.length + i);
      const origin = before[from];
      if (origin !== undefined) builder.push(char, origin.start, origin.end);
    });
  }
  return builder.build();
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
