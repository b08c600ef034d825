import { BPE, type Tokenizer, WordPiece } from "@huggingface/tokenizers";
import { type AlignedText, type CharRange, originOf } from "./aligned.ts";
import { byteName } from "./bytes.ts";
import { type JsonObject, unsupported } from "./json.ts";

/** A token and the prompt's characters it stands for. */
export interface TokenSpan extends CharRange {
  readonly id: number;
}

/** Turns a word into its tokens. */
export type PieceModel = (word: AlignedText) => TokenSpan[];

/**
 * The `model` of a tokenizer.json: byte-pair encoding or WordPiece, run by the library; the
 * characters of each token are known because a word's pieces, joined, are the word.
 *
 * @throws ModelError for another kind of model.
 */
export function compilePieceModel(config: JsonObject, library: Tokenizer): PieceModel {
  const { model } = library;
  if (model instanceof BPE) {
    for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
      if (config[key]) throw unsupported(`"model.${key}"`, config[key], ["none"]);
    }
    return bytePairs(model, config.fuse_unk === true);
  }
  if (model instanceof WordPiece) {
    const prefix = config.continuing_subword_prefix;
    return wordPieces(model, typeof prefix === "string" ? prefix : "##");
  }
  throw unsupported('"model.type"', config.type, ["BPE", "WordPiece"]);
}

function bytePairs(model: BPE, fuseUnknown: boolean): PieceModel {
  const ids = model.tokens_to_ids;
  const unknown = model.unk_token_id;
  const encoder = new TextEncoder();
  const bytesOf = (piece: string): number[] | null => {
    if (!model.byte_fallback) return null;
    const names = Array.from(encoder.encode(piece), (byte) => ids.get(byteName(byte)));
    return names.every((id) => id !== undefined) ? names.map(Number) : null;
  };
  return (word) => {
    const whole = model.ignore_merges ? ids.get(word.text) : undefined;
    const pieces = whole === undefined ? model.bpe(word.text) : [word.text];
    const tokens: TokenSpan[] = [];
    let at = 0;
    let fusing = false;
    for (const piece of pieces) {
      const range = originOf(word, at, at + piece.length);
      at += piece.length;
      const id = ids.get(piece);
      const bytes = id === undefined ? bytesOf(piece) : null;
      const last = tokens.at(-1);
      if (id !== undefined) tokens.push({ id, ...range });
      else if (bytes !== null) for (const byte of bytes) tokens.push({ id: byte, ...range });
      else if (unknown !== undefined && fuseUnknown && fusing && last !== undefined) {
        tokens[tokens.length - 1] = { id: unknown, start: last.start, end: range.end };
      } else if (unknown !== undefined) tokens.push({ id: unknown, ...range });
      fusing = id === undefined && bytes === null;
    }
    return tokens;
  };
}

function wordPieces(model: WordPiece, prefix: string): PieceModel {
  return (word) => {
    const pieces = model.encode([word.text]);
    const first = pieces[0];
    if (pieces.length === 1 && first === model.unk_token && first !== word.text) {
      const id = model.unk_token_id;
      return id === undefined ? [] : [{ id, ...originOf(word, 0, word.text.length) }];
    }
    let at = 0;
    return pieces.map((piece, i) => {
      const length = piece.length - (i === 0 ? 0 : prefix.length);
      const range = originOf(word, at, at + length);
      at += length;
      return { id: model.tokens_to_ids.get(piece) ?? 0, ...range };
    });
  };
}
