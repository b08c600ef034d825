/** One line of a file, or the sign that it was too long to be kept. */
export type FileLine =
  | {
      readonly kind: "line";
      readonly number: number;
      readonly text: string;
      readonly ended: boolean;
    }
  | { readonly kind: "too-long"; readonly number: number };

const LINE_FEED = 0x0a;

/**
 * Cuts chunks of bytes into lines of UTF-8, numbered from 1. A line of more than `maxBytes` is not
 * gathered: only its number is told. `ended` is false for a last line without a line break.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<FileLine> {
  let number = 1;
  let parts: Uint8Array[] = [];
  let length = 0;
  const finish = (ended: boolean): FileLine => {
    const line: FileLine =
      length > maxBytes
        ? { kind: "too-long", number }
        : { kind: "line", number, text: Buffer.concat(parts, length).toString("utf8"), ended };
    number++;
    parts = [];
    length = 0;
    return line;
  };
  const take = (part: Uint8Array) => {
    length += part.length;
    if (length <= maxBytes) parts.push(part);
    else parts = [];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end < 0) break;
      take(chunk.subarray(start, end));
      yield finish(true);
      start = end + 1;
    }
    if (start < chunk.length) take(chunk.subarray(start));
  }
  if (length > 0) yield finish(false);
}
