/** Bytes that are no text in the encoding they should have: what, where, and what to do. */
export class TextDecodingError extends Error {
  override readonly name = "TextDecodingError";
}

/** Unicode byte-order marks: the four-byte ones begin with the two-byte ones, so they come first. */
const MARKS: readonly { readonly bytes: readonly number[]; readonly encoding: string }[] = [
  { bytes: [0xff, 0xfe, 0, 0], encoding: "utf-32le" },
  { bytes: [0, 0, 0xfe, 0xff], encoding: "utf-32be" },
  { bytes: [0xef, 0xbb, 0xbf], encoding: "utf-8" },
  { bytes: [0xff, 0xfe], encoding: "utf-16le" },
  { bytes: [0xfe, 0xff], encoding: "utf-16be" },
];

/**
 * Decodes a text file: in the encoding of its byte-order mark, else in the one given, else as UTF-8.
 * No byte is ever replaced; the mark is left out.
 *
 * @param declared name of the encoding that the text itself declares, as the WHATWG names them
 *   ("gbk", "latin1"); a byte-order mark wins.
 * @throws TextDecodingError naming the first byte that is wrong, and its line.
 */
export function decodeText(bytes: Uint8Array, declared?: string): string {
  const mark = MARKS.find(({ bytes: mark }) => mark.every((byte, i) => bytes[i] === byte));
  const encoding = mark?.encoding ?? declared ?? "utf-8";
  const decoder = decoderOf(encoding);
  if (decoder === undefined) {
    throw new TextDecodingError(
      `is in the encoding ${encoding}, which is not known; save it as UTF-8`,
    );
  }
  const body = bytes.subarray(mark?.bytes.length ?? 0);
  try {
    return decoder.decode(body);
  } catch {
    if (encoding !== "utf-8") {
      const how = mark === undefined ? "declares to be" : "begins with the byte-order mark of";
      throw new TextDecodingError(`${how} ${encoding}, but is not; save it as UTF-8`);
    }
    const at = firstWrongByte(body);
    const byte = (body[at] ?? 0).toString(16).toUpperCase().padStart(2, "0");
    const line = body.subarray(0, at).filter((b) => b === 0x0a).length + 1;
    throw new TextDecodingError(`is not UTF-8 (byte 0x${byte} at line ${line}); save it as UTF-8`);
  }
}

function decoderOf(encoding: string) {
  // Python's names ("latin-1", "utf_8") have marks that the WHATWG's have not.
  for (const name of [encoding, encoding.replace(/[-_]/g, "")]) {
    try {
      return new TextDecoder(name, { fatal: true, ignoreBOM: true });
    } catch {
      // The next name is tried.
    }
  }
  return undefined;
}

/** Index of the first byte that belongs to no whole character; the bytes are not UTF-8. */
function firstWrongByte(bytes: Uint8Array): number {
  // Decoding marks each wrong stretch; what stands before the first one is right.
  const replaced = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const encoder = new TextEncoder();
  let at = 0;
  for (const char of replaced) {
    if (char === "\ufffd" && !isReplacementCharacter(bytes, at)) return at;
    at += encoder.encode(char).length;
  }
  return bytes.length - 1;
}

/** Whether U+FFFD itself stands in the bytes. */
function isReplacementCharacter(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd;
}
