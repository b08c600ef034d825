import { join } from "node:path";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import {
  type ConfigReader,
  fileExists,
  readConfig,
  readJsonFile,
} from "../common/config-reader.ts";
import { InputError, ModelError } from "../common/errors.ts";
import { shownValue } from "../common/shown.ts";
import {
  type AddedToken,
  addedTokenFinders,
  allAddedTokens,
  isToken,
  readAddedTokens,
  type Section,
} from "./added.ts";
import { alignedToItself } from "./aligned.ts";
import { checkSize, withinTime } from "./bounds.ts";
import { pieceToBytes, readableBytes } from "./bytes.ts";
import { isObject, type JsonObject, MAX_TOKEN_ID } from "./json.ts";
import { compileNormalizer } from "./normalizers.ts";
import { compilePieceModel, type TokenSpan } from "./pieces.ts";
import { readSlowFiles, type TokenizerParts } from "./slow-files.ts";
import { compileSplitter } from "./splitters.ts";

const TOKENIZER_FILE = "tokenizer.json";
const CONFIG_FILE = "tokenizer_config.json";
/** What is read of it. */
const TOKENIZER_KEYS = [
  "added_tokens",
  "decoder",
  "model",
  "normalizer",
  "post_processor",
  "pre_tokenizer",
];

/** One string, tokenised with the special tokens the model's own processor adds. */
export interface Encoding {
  /** [n] token ids. */
  readonly ids: readonly number[];
  /**
   * [n] half-open ranges of the string's UTF-16 code units: the characters that each token is made
   * of. A character that was cut into several byte tokens belongs to each; tokens that the processor
   * added (beginning of text) have an empty range.
   */
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
}

/** A checkpoint's tokenizer: `tokenizer.json` with `tokenizer_config.json`. */
export class Tokenizer {
  /** One more than the largest token id; the model's own `vocab_size` may be padded beyond it. */
  readonly vocabSize: number;
  /** Id of the token that stands for the video, when the vocabulary has one. */
  readonly imageTokenId: number | undefined;
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly eosTokenId: number | undefined;
  /** What tokenizer_config.json names: `bos_token`, `unk_token`, `image_token` … with their texts. */
  readonly specialTokens: Readonly<Record<string, string>>;

  readonly #library: LibraryTokenizer;
  readonly #encodeText: (text: string) => TokenSpan[];
  readonly #before: readonly number[];
  readonly #after: readonly number[];
  readonly #added: ReadonlyMap<number, AddedToken>;
  readonly #style: "metaspace" | "bytes" | "plain";
  readonly #cleanUp: boolean;

  /**
   * @param json tokenizer.json, parsed.
   * @param config tokenizer_config.json, parsed; empty when there is none.
   * @param own what is done otherwise than tokenizer.json can say.
   * @throws ModelError naming the key that is malformed or not supported (without the file's name).
   */
  constructor(
    json: JsonObject,
    config: JsonObject,
    own: Pick<TokenizerParts, "pieces" | "prepare" | "sections"> = {},
  ) {
    const model = checkedModel(json);
    const parts = {
      normalizer: part(json, "normalizer"),
      pre_tokenizer: part(json, "pre_tokenizer"),
      post_processor: part(json, "post_processor"),
      decoder: part(json, "decoder"),
    };
    const addedTokens = allAddedTokens(json, config);
    const added = readAddedTokens(addedTokens);
    let working = "its search for added tokens";
    const announce = (part: string) => {
      working = part;
    };
    const normalize = compileNormalizer(parts.normalizer, announce);
    const split = compileSplitter(parts.pre_tokenizer, announce);
    // Normalising and splitting are done here, with alignment; the library is given neither.
    this.#library = new LibraryTokenizer(
      { added_tokens: addedTokens, model, ...parts, normalizer: null, pre_tokenizer: null },
      config,
    );
    const toPieces = own.pieces ?? compilePieceModel(model, this.#library);
    const arrange = own.sections ?? ((sections: readonly Section[]) => sections);
    const find = addedTokenFinders(added, normalize);
    const encodeText = (text: string) =>
      arrange(find.raw(alignedToItself(own.prepare?.(text) ?? text))).flatMap((section) => {
        if (isToken(section)) return [section];
        return find.normalized(normalize(section)).flatMap((inner) => {
          if (isToken(inner)) return [inner];
          return split(inner).flatMap((word) => (word.text === "" ? [] : toPieces(word)));
        });
      });

    this.#encodeText = (text) => {
      checkSize(text.length, "its length");
      working = "its search for added tokens";
      return withinTime(
        () => encodeText(text),
        () => working,
      );
    };

    this.#added = new Map(added.map((token) => [token.id, token]));
    this.vocabSize = this.#library.model?.vocab.length ?? 0;
    this.specialTokens = namedTokens(config);
    this.bosToken = this.specialTokens.bos_token;
    this.eosToken = this.specialTokens.eos_token;
    this.eosTokenId = this.eosToken === undefined ? undefined : this.idOf(this.eosToken);
    this.imageTokenId = this.idOf(this.specialTokens.image_token ?? "<image>");
    [this.#before, this.#after] = this.#surroundings();
    this.#style = styleOf(JSON.stringify([parts.decoder, parts.pre_tokenizer, parts.normalizer]));
    // As transformers: the clean-up of spaces is never done for byte-pair encodings.
    this.#cleanUp = config.clean_up_tokenization_spaces === true && model.type !== "BPE";
  }

  /** Tokens put before and after a text: tokenizer.json's own word on it, as transformers takes it. */
  #surroundings(): [number[], number[]] {
    const marker = "\0";
    const { post_processor: wrap } = this.#library;
    const wrapped: unknown = wrap === null ? [marker] : wrap([marker], null, true).tokens;
    const tokens = Array.isArray(wrapped)
      ? wrapped.map((token) => token ?? "").map(String)
      : [marker];
    const at = tokens.indexOf(marker);
    return [
      tokens.slice(0, at).map((token) => this.#specialId(token)),
      tokens.slice(at + 1).map((token) => this.#specialId(token)),
    ];
  }

  #specialId(piece: string): number {
    const id = this.idOf(piece);
    if (id === undefined) {
      throw new ModelError(`the special token ${JSON.stringify(piece)} is not in the vocabulary`);
    }
    return id;
  }

  /**
   * Tokenises one string as a whole.
   *
   * @param options.addSpecial whether the processor's own tokens (beginning of text …) are added.
   */
  encode(text: string, options: { readonly addSpecial?: boolean } = {}): Encoding {
    const tokens = this.#encodeText(text);
    const special = options.addSpecial !== false;
    const outside = (id: number) => ({ id, start: 0, end: 0 });
    const all = [
      ...(special ? this.#before.map(outside) : []),
      ...tokens,
      ...(special ? this.#after.map(outside) : []),
    ];
    return {
      ids: all.map((token) => token.id),
      ranges: all.map(({ start, end }) => ({ start, end })),
    };
  }

  /** The text of tokens taken together; ids beyond the vocabulary are left out. */
  decode(ids: readonly number[], options: { readonly skipSpecial?: boolean } = {}): string {
    const known = ids.filter(
      (id) =>
        this.#library.id_to_token(id) !== undefined &&
        !(options.skipSpecial === true && this.#added.get(id)?.special === true),
    );
    if (known.length === 0) return "";
    return this.#library.decode(known, { clean_up_tokenization_spaces: this.#cleanUp });
  }

  /**
   * One token for the eye: "▁the" as " the", a byte token as its character, a byte that is no
   * character by itself as "<0xE7>", WordPiece's "##ing" as it is, an id that the vocabulary does
   * not have as "<unused 32005>".
   */
  tokenText(id: number): string {
    const piece = this.#library.id_to_token(id);
    if (piece === undefined) return `<unused ${id}>`;
    if (this.#added.has(id)) return piece;
    switch (this.#style) {
      case "metaspace": {
        const byte = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1];
        if (byte !== undefined) return readableBytes(Uint8Array.of(Number.parseInt(byte, 16)));
        return piece.replaceAll("▁", " ");
      }
      case "bytes": {
        const bytes = pieceToBytes(piece);
        return bytes === null ? piece : readableBytes(bytes);
      }
      case "plain":
        return piece;
    }
  }

  /** Id of a piece as the vocabulary spells it ("▁the", "<image>"). */
  idOf(piece: string): number | undefined {
    return this.#library.token_to_id(piece);
  }

  /** Whether a token is one of the special ones (beginning of text, the video's placeholder …). */
  isSpecial(id: number): boolean {
    return this.#added.get(id)?.special === true;
  }

  /**
   * Id of the token that a model would produce next to write `continuation` after a prompt: prompt
   * and continuation are tokenised as one string, and the token at the prompt's end is taken. Where
   * they would merge across the border (the prompt's tokens are fixed, so a model cannot), it is the
   * piece spelt exactly `continuation`, as in the paper's reference implementation.
   *
   * @throws InputError when the vocabulary has no single token for it.
   */
  nextTokenId(prompt: string, continuation: string): number {
    const before = this.#encodeText(prompt);
    const joint = this.#encodeText(prompt + continuation);
    const next = joint[before.length];
    const unchanged = before.every((token, i) => joint[i]?.id === token.id);
    if (unchanged && joint.length === before.length + 1 && next !== undefined) return next.id;
    const piece = this.idOf(continuation);
    if (piece !== undefined) return piece;
    throw new InputError(
      `the model's vocabulary has no single token for ${JSON.stringify(continuation)} at the end ` +
        "of this prompt, so its probability cannot be read; change the template's last characters",
    );
  }
}

/**
 * Reads a model folder's tokenizer.
 *
 * tokenizer.json where there is one, else the files of transformers' slow classes: a SentencePiece
 * model, or a vocabulary and its merges.
 *
 * @throws ModelError naming the file when there is none, or it is damaged or uses a component that is
 *   not supported.
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const hasConfig = await fileExists(folder, CONFIG_FILE);
  const config = hasConfig ? (await readJsonFile(folder, CONFIG_FILE)).value : {};
  const parts: TokenizerParts = (await fileExists(folder, TOKENIZER_FILE))
    ? { json: await readTokenizerFile(folder), config, file: join(folder, TOKENIZER_FILE) }
    : await readSlowFiles(folder, config);
  try {
    return new Tokenizer(parts.json, parts.config, parts);
  } catch (error) {
    // The library's own word for a key that is absent.
    const why = (error instanceof Error ? error.message : String(error)).replace(
      /\bundefined$/,
      shownValue(undefined),
    );
    throw new ModelError(`${parts.file}: cannot be used: ${why}`);
  }
}

async function readTokenizerFile(folder: string): Promise<JsonObject> {
  return pick(await readConfig(folder, TOKENIZER_FILE), TOKENIZER_KEYS);
}

function pick(reader: ConfigReader, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, reader.raw(key)]));
}

/** The model's section, with its ids checked: the library trusts them. */
function checkedModel(json: JsonObject): JsonObject {
  const { model } = json;
  if (!isObject(model)) throw new ModelError('"model" is missing or not an object');
  // Older files do not name the kind: only one has merges.
  const type = model.type ?? (Array.isArray(model.merges) ? "BPE" : "WordPiece");
  if (type !== "BPE" && type !== "WordPiece") {
    throw new ModelError(`"model.type" is ${shownValue(type)}; supported are BPE, WordPiece`);
  }
  const { vocab, merges } = model;
  if (!isObject(vocab)) throw new ModelError('"model.vocab" is missing or not an object');
  for (const [piece, id] of Object.entries(vocab)) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > MAX_TOKEN_ID) {
      throw new ModelError(`"model.vocab" gives ${JSON.stringify(piece)} the id ${shownValue(id)}`);
    }
  }
  if (type === "BPE") {
    const wrong = Array.isArray(merges) ? merges.find((merge) => !isMerge(merge)) : merges;
    if (!Array.isArray(merges) || wrong !== undefined) {
      throw new ModelError(`"model.merges" is not a list of pairs: ${shownValue(wrong)}`);
    }
  }
  return { ...model, type };
}

function isMerge(merge: unknown): boolean {
  if (typeof merge === "string") return merge.includes(" ");
  return Array.isArray(merge) && merge.length === 2 && merge.every((x) => typeof x === "string");
}

function part(json: JsonObject, key: string): JsonObject | null {
  const value = json[key] ?? null;
  if (value !== null && !isObject(value)) throw new ModelError(`"${key}" is not an object`);
  if (value !== null && typeof value.type !== "string") {
    throw new ModelError(`"${key}.type" is ${shownValue(value.type)}; a text is needed`);
  }
  return value;
}

/** The special tokens that tokenizer_config.json names, those of `extra_special_tokens` included. */
function namedTokens(config: JsonObject): Record<string, string> {
  const extra = isObject(config.extra_special_tokens) ? config.extra_special_tokens : {};
  const named: Record<string, string> = {};
  for (const [key, value] of Object.entries({ ...config, ...extra })) {
    const content = key.endsWith("_token") ? tokenContent(value) : undefined;
    if (content !== undefined) named[key] = content;
  }
  return named;
}

/** A special token of tokenizer_config.json: a text, or an object that carries it. */
function tokenContent(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isObject(value) && typeof value.content === "string" ? value.content : undefined;
}

function styleOf(components: string): "metaspace" | "bytes" | "plain" {
  if (components.includes('"ByteLevel"')) return "bytes";
  return components.includes("▁") || components.includes('"Metaspace"') ? "metaspace" : "plain";
}
