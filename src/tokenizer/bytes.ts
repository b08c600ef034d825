/**
 * GPT-2's byte alphabet: every byte has a printable letter. Printable Latin-1 bytes stand for
 * themselves, the others take the letters from U+0100 on, in order.
 */
const LETTERS: readonly string[] = (() => {
  const letters: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) ||
      (byte >= 0xa1 && byte <= 0xac) ||
      (byte >= 0xae && byte <= 0xff);
    letters.push(String.fromCharCode(printable ? byte : next++));
  }
  return letters;
})();

const BYTE_OF: ReadonlyMap<string, number> = new Map(LETTERS.map((letter, byte) => [letter, byte]));

/** The letters that stand for these bytes. */
export function bytesToPiece(bytes: Uint8Array): string {
  let piece = "";
  for (const byte of bytes) piece += LETTERS[byte] ?? "";
  return piece;
}

/** The bytes a piece stands for, or null when a character of it is not in the byte alphabet. */
export function pieceToBytes(piece: string): Uint8Array | null {
  const bytes: number[] = [];
  for (const letter of piece) {
    const byte = BYTE_OF.get(letter);
    if (byte === undefined) return null;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Llama's name of a byte token: `<0x0A>`. */
export function byteName(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** The bytes as text; where they are no whole UTF-8 text, bytes above 127 are shown as `<0xE7>`. */
export function readableBytes(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Array.from(bytes, (byte) =>
      byte < 0x80 ? String.fromCharCode(byte) : byteName(byte),
    ).join("");
  }
}
