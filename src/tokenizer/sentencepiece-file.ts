import { join } from "node:path";
import protobuf from "protobufjs/minimal.js";
import { ModelError } from "../common/errors.ts";
import { failureReason } from "../common/file-failure.ts";
import { readRegularFile } from "../common/regular-file.ts";
import { MAX_TOKEN_ID } from "./json.ts";

type Reader = protobuf.Reader;

export const SENTENCEPIECE_FILE = "tokenizer.model";
/** The largest published ones (250,000 pieces) have 5 MB. */
const MAX_BYTES = 50_000_000;

/** What a piece is for; the numbers are those of sentencepiece_model.proto. */
export const PIECE_KINDS = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

export interface Piece {
  readonly text: string;
  readonly score: number;
  /** One of `PIECE_KINDS`. */
  readonly kind: number;
}

/** What is read of a SentencePiece model (sentencepiece_model.proto). */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  /** 1 is Unigram, 2 is BPE. */
  readonly modelType: number;
  readonly byteFallback: boolean;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
  readonly treatWhitespaceAsSuffix: boolean;
  /** Whether it rewrites characters (NFKC and the like) before anything else. */
  readonly rewritesCharacters: boolean;
}

/**
 * Reads a folder's SentencePiece model.
 *
 * @throws ModelError when it cannot be read or is none.
 */
export async function readSentencePiece(folder: string): Promise<SentencePieceModel> {
  const file = join(folder, SENTENCEPIECE_FILE);
  const bytes = await readRegularFile(file, MAX_BYTES).catch((error: unknown) => {
    throw new ModelError(`${file}: cannot be read: ${failureReason(error)}`);
  });
  try {
    return parseSentencePiece(bytes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ModelError(`${file}: is no SentencePiece model that can be used: ${why}`);
  }
}

/** Reads the bytes of a SentencePiece model; what is not needed is passed over. */
export function parseSentencePiece(bytes: Uint8Array): SentencePieceModel {
  const pieces: Piece[] = [];
  const trainer = { modelType: 1, byteFallback: false, treatWhitespaceAsSuffix: false };
  const normalizer = {
    ...{ addDummyPrefix: true, removeExtraWhitespaces: true, escapeWhitespaces: true },
    rewritesCharacters: false,
  };
  const reader = protobuf.Reader.create(bytes);
  // The length is checked by hand, because the library reads on beyond a message that is cut off.
  fields(reader, reader.len, {
    1: () => {
      if (pieces.length > MAX_TOKEN_ID) throw new Error(`it has more than ${MAX_TOKEN_ID} pieces`);
      pieces.push(readPiece(reader));
    },
    2: () => {
      message(reader, {
        3: () => {
          trainer.modelType = reader.int32();
        },
        24: () => {
          trainer.treatWhitespaceAsSuffix = reader.bool();
        },
        35: () => {
          trainer.byteFallback = reader.bool();
        },
      });
    },
    3: () => {
      message(reader, {
        2: () => {
          normalizer.rewritesCharacters = reader.bytes().length > 0;
        },
        3: () => {
          normalizer.addDummyPrefix = reader.bool();
        },
        4: () => {
          normalizer.removeExtraWhitespaces = reader.bool();
        },
        5: () => {
          normalizer.escapeWhitespaces = reader.bool();
        },
      });
    },
  });
  if (pieces.length === 0) throw new Error("it has no pieces");
  return { pieces, ...trainer, ...normalizer };
}

function readPiece(reader: Reader): Piece {
  let text = "";
  let score = 0;
  let kind: number = PIECE_KINDS.normal;
  message(reader, {
    1: () => {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(reader.bytes());
    },
    2: () => {
      score = reader.float();
    },
    3: () => {
      kind = reader.int32();
    },
  });
  if (text === "" || !Number.isFinite(score))
    throw new Error("it has a piece without a text or score");
  return { text, score, kind };
}

type Fields = Readonly<Record<number, () => void>>;

/** Reads a message inside another one. */
function message(reader: Reader, read: Fields): void {
  const length = reader.uint32();
  fields(reader, reader.pos + length, read);
}

function fields(reader: Reader, end: number, read: Fields): void {
  if (end > reader.len) throw new Error("it is cut off");
  while (reader.pos < end) {
    const tag = reader.uint32();
    const known = read[tag >>> 3];
    if (known === undefined) reader.skipType(tag & 7);
    else known();
  }
  if (reader.pos !== end) throw new Error("it is damaged");
}
