import { type FileHandle, open } from "node:fs/promises";
import type { LocatedTensor } from "../../checkpoint/weights.ts";
import type { DecoderSpec } from "./spec.ts";

/** What is compared at a time, and how many such blocks of a large matrix are looked at. */
const BLOCK_BYTES = 65_536;
const BLOCKS = 1_024;

/**
 * What to tell when config.json ties output head and embeddings, but the file has two that differ, in
 * which case they are not tied, as in transformers. Of matrices of more than 64 MB, evenly spread
 * blocks are compared: only the notice depends on it, the file's head is used in any case.
 */
export async function tiedHeadNotice(decoder: DecoderSpec): Promise<string | undefined> {
  const { embedding, head, headSaidTied } = decoder;
  if (!headSaidTied || (await alike(embedding, head))) return undefined;
  return (
    `"tie_word_embeddings" is true, but the output head in the file (${head.name}) differs from the ` +
    "embeddings: they are not tied, as in transformers"
  );
}

async function alike(a: LocatedTensor, b: LocatedTensor): Promise<boolean> {
  if (a.dtype !== b.dtype || a.length !== b.length) return false;
  const files: FileHandle[] = [];
  try {
    for (const { file } of [a, b]) files.push(await open(file, "r"));
    const [first, second] = files as [FileHandle, FileHandle];
    const blocks = Math.ceil(a.length / BLOCK_BYTES);
    const looked = Math.min(blocks, BLOCKS);
    for (let i = 0; i < looked; i++) {
      const at = Math.floor((i * blocks) / looked) * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES, a.length - at);
      const of = async (handle: FileHandle, { offset }: LocatedTensor) =>
        (await handle.read(Buffer.alloc(length), 0, length, offset + at)).buffer;
      if (!(await of(first, a)).equals(await of(second, b))) return false;
    }
    return true;
  } finally {
    for (const file of files) await file.close();
  }
}
