import { join } from "node:path";
import { fileExists, readJsonFile } from "../common/config-reader.ts";
import { ModelError } from "../common/errors.ts";
import { failureReason } from "../common/file-failure.ts";
import { readRegularFile } from "../common/regular-file.ts";
import { decodeText, TextDecodingError } from "../common/text.ts";
import { isToken, type Section } from "./added.ts";
import { prependAligned } from "./aligned.ts";
import type { JsonObject } from "./json.ts";
import type { PieceModel } from "./pieces.ts";
import { scoredPairs } from "./scored-pairs.ts";
import {
  readSentencePiece,
  SENTENCEPIECE_FILE,
  type SentencePieceModel,
} from "./sentencepiece-file.ts";
import { type DefaultTokens, readSlowTokens, type SlowTokens } from "./slow-tokens.ts";

/** What a tokenizer is made of where there is no tokenizer.json. */
export interface TokenizerParts {
  /** As tokenizer.json would have it. */
  readonly json: JsonObject;
  /** As tokenizer_config.json has it, the class's own special tokens included. */
  readonly config: JsonObject;
  /** The file that holds the vocabulary. */
  readonly file: string;
  /** Makes the pieces of a word; absent: the library does. */
  readonly pieces?: PieceModel;
  /** What is done to a text first; every character keeps its place. */
  readonly prepare?: (text: string) => string;
  /** What is done to a text's sections, the added tokens being found. */
  readonly sections?: (sections: readonly Section[]) => readonly Section[];
}

const VOCABULARY_FILE = "vocab.json";
const MERGES_FILE = "merges.txt";
const MAX_MERGES_BYTES = 50_000_000;
const MARK = "▁";
const LLAMA_TOKENS: DefaultTokens = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" };
const QWEN2_TOKENS: DefaultTokens = {
  eos_token: "<|endoftext|>",
  unk_token: "<|endoftext|>",
  pad_token: "<|endoftext|>",
};
/** Qwen2's words: contractions, letters, single digits, other symbols, line breaks, spaces. */
const QWEN2_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Classes whose own files are read. The names that end in "Fast" differ in white space (see `llama`). */
const SENTENCEPIECE_CLASSES = ["LlamaTokenizer", "LlamaTokenizerFast", "InternLM2Tokenizer"];
const BYTE_CLASSES = ["Qwen2Tokenizer", "Qwen2TokenizerFast"];

/**
 * Reads the files of a tokenizer that was saved without tokenizer.json: a SentencePiece model, or a
 * vocabulary and its merges.
 *
 * @param config tokenizer_config.json; empty when there is none.
 * @throws ModelError when there are none, or they are damaged or of a class that is not supported.
 */
export async function readSlowFiles(folder: string, config: JsonObject): Promise<TokenizerParts> {
  const has = (name: string) => fileExists(folder, name);
  if (await has(SENTENCEPIECE_FILE)) return readLlama(folder, config);
  if ((await has(VOCABULARY_FILE)) && (await has(MERGES_FILE))) return readQwen2(folder, config);
  throw new ModelError(
    `${join(folder, "tokenizer.json")}: is missing, and in its place there is no ` +
      `${SENTENCEPIECE_FILE} and no ${VOCABULARY_FILE} with ${MERGES_FILE}; copy or download it again`,
  );
}

/** The class that the folder's tokenizer was saved by; one of those known, or the first of them. */
function classOf(config: JsonObject, file: string, known: readonly string[]): string {
  const name = config.tokenizer_class ?? known[0];
  if (typeof name === "string" && known.includes(name)) return name;
  throw new ModelError(
    `${file}: the tokenizer's class is ${JSON.stringify(name)}; without tokenizer.json, supported ` +
      `are ${known.join(", ")}`,
  );
}

async function readLlama(folder: string, config: JsonObject): Promise<TokenizerParts> {
  const file = join(folder, SENTENCEPIECE_FILE);
  const name = classOf(config, file, SENTENCEPIECE_CLASSES);
  const model = await readSentencePiece(folder);
  refuseOther(model, file);
  const vocabulary = new Map(model.pieces.map(({ text }, id) => [text, id]));
  const tokens = await readSlowTokens(folder, config, vocabulary, LLAMA_TOKENS);
  return { ...llama(name, model, config, vocabulary, tokens), file };
}

function refuseOther(model: SentencePieceModel, file: string): void {
  const odd =
    (model.modelType !== 2 && "is no byte-pair encoding") ||
    (model.rewritesCharacters && "rewrites characters (a normalization such as nmt_nfkc)") ||
    (!model.escapeWhitespaces && "does not mark white space") ||
    (model.treatWhitespaceAsSuffix && "marks white space at the end of words");
  if (odd) throw new ModelError(`${file}: this SentencePiece model ${odd}; not supported`);
}

/**
 * LLaMA's tokenizers. A text begins with a mark for a space. What begins with one beside:
 *
 * - `legacy` (the class's own default, and InternLM2's way): every stretch between added tokens;
 * - not `legacy`: the text only, also where it begins with a space; where it begins with a special
 *   token, the mark is left out;
 * - the "Fast" class, not `legacy`: the text, unless it begins with a space or a token.
 */
function llama(
  name: string,
  model: SentencePieceModel,
  config: JsonObject,
  vocabulary: ReadonlyMap<string, number>,
  tokens: SlowTokens,
): Omit<TokenizerParts, "file"> {
  const isFast = name.endsWith("Fast");
  const legacy = name === "InternLM2Tokenizer" || config.legacy !== false;
  const prefixed = config.add_prefix_space !== false;
  const { json: surrounding } = wrapped(config, tokens);
  const spaces = { type: "Replace", pattern: { String: " " }, content: MARK };
  const scheme = prefixed ? "first" : "never";
  const metaspace = { type: "Metaspace", replacement: MARK, prepend_scheme: scheme, split: false };
  const begins = legacy && (isFast ? prefixed : model.addDummyPrefix);
  const json: JsonObject = {
    // The slow classes look for all added tokens in the text as it is.
    added_tokens: isFast ? tokens.added : tokens.added.map((t) => ({ ...t, normalized: false })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        ...(model.removeExtraWhitespaces ? extraSpaces(legacy) : []),
        ...(begins ? [{ type: "Prepend", prepend: MARK }] : []),
        ...(isFast && !legacy ? [] : [spaces]),
        ...(model.removeExtraWhitespaces ? [LAST_MARKS] : []),
      ],
    },
    pre_tokenizer: isFast && !legacy ? metaspace : null,
    post_processor: surrounding,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: MARK }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefixed ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(vocabulary),
      merges: [],
      unk_token: tokens.named.unk_token,
      fuse_unk: true,
      byte_fallback: model.byteFallback,
    },
  };
  const mark = vocabulary.get(MARK);
  const first = !legacy && !isFast && prefixed && mark !== undefined;
  return {
    json,
    config: withNames(config, tokens),
    pieces: scoredPairs(model),
    // Without `legacy`, a mark in the text is a space, also to the tokens that take spaces beside them.
    ...(legacy || isFast ? {} : { prepare: (text) => text.replaceAll(MARK, " ") }),
    ...(first ? { sections: (sections) => marked(sections, mark, tokens.special) } : {}),
  };
}

/** Spaces in a row are one; at the beginning there is none, or one without `legacy`. */
function extraSpaces(legacy: boolean): readonly JsonObject[] {
  const leading = { type: "Replace", pattern: { Regex: "(?<![\\s\\S]) +" }, content: "" };
  const inRow = { type: "Replace", pattern: { Regex: " {2,}" }, content: " " };
  return legacy ? [leading, inRow] : [inRow];
}

/** Nor is there one at the end, be it written as a space or as the mark. */
const LAST_MARKS = {
  type: "Replace",
  pattern: { Regex: `${MARK}+(?![\\s\\S])` },
  content: "",
};

/** The mark that the slow class puts before a text, when it is not `legacy`. */
function marked(
  sections: readonly Section[],
  mark: number,
  special: ReadonlySet<number>,
): readonly Section[] {
  const [first, ...rest] = sections;
  if (first === undefined) return [];
  if (!isToken(first)) return [prependAligned(first, MARK), ...rest];
  return special.has(first.id) ? sections : [{ id: mark, start: 0, end: 0 }, ...sections];
}

/** The tokens around a text: one at its beginning (unless the file says no), one at its end if it says so. */
function wrapped(config: JsonObject, tokens: SlowTokens): { json: JsonObject | null } {
  const ids = new Map(tokens.added.map(({ content, id }) => [content, id]));
  const piece = (text: string) => ({ SpecialToken: { id: text, type_id: 0 } });
  const { bos_token: bos, eos_token: eos } = tokens.named;
  const before = config.add_bos_token !== false && bos !== undefined ? [bos] : [];
  const after = config.add_eos_token === true && eos !== undefined ? [eos] : [];
  const all = [...before, ...after];
  if (all.length === 0) return { json: null };
  const single = [...before.map(piece), { Sequence: { id: "A", type_id: 0 } }, ...after.map(piece)];
  const special = Object.fromEntries(
    all.map((text) => [text, { id: text, ids: [ids.get(text)], tokens: [text] }]),
  );
  return { json: { type: "TemplateProcessing", single, pair: single, special_tokens: special } };
}

async function readQwen2(folder: string, config: JsonObject): Promise<TokenizerParts> {
  const { file, value: vocab } = await readJsonFile(folder, VOCABULARY_FILE);
  classOf(config, file, BYTE_CLASSES);
  const merges = await readMerges(join(folder, MERGES_FILE));
  const vocabulary = new Map(Object.keys(vocab).map((piece) => [piece, Number(vocab[piece])]));
  const tokens = await readSlowTokens(folder, config, vocabulary, QWEN2_TOKENS);
  const json: JsonObject = {
    added_tokens: tokens.added.map((token) => ({ ...token, normalized: false })),
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: QWEN2_WORDS }, behavior: "Isolated", invert: false },
        {
          type: "ByteLevel",
          add_prefix_space: config.add_prefix_space === true,
          trim_offsets: false,
          use_regex: false,
        },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab, merges, fuse_unk: false, byte_fallback: false },
  };
  return { json, config: withNames(config, tokens), file };
}

/** Pairs of a merges.txt, in their order; its first line names the format's version. */
async function readMerges(file: string): Promise<(readonly string[])[]> {
  let text: string;
  try {
    text = decodeText(await readRegularFile(file, MAX_MERGES_BYTES));
  } catch (error) {
    const why = error instanceof TextDecodingError ? error.message : failureReason(error);
    throw new ModelError(`${file}: cannot be read: ${why}`);
  }
  return text.split("\n").flatMap((line, i) => {
    const trimmed = line.replace(/\r$/, "");
    if (trimmed.startsWith("#version") || trimmed === "") return [];
    const pair = trimmed.split(" ");
    if (pair.length !== 2 || pair.includes("")) {
      throw new ModelError(
        `${file}: line ${i + 1} is no pair: ${JSON.stringify(trimmed.slice(0, 80))}`,
      );
    }
    return [pair];
  });
}

/** The configuration with the class's own token names, and its added tokens taken out. */
function withNames(config: JsonObject, tokens: SlowTokens): JsonObject {
  const { added_tokens_decoder: _, ...rest } = config;
  return { ...rest, ...tokens.named };
}
