import { isUtf8 } from "node:buffer";

/** Nesting up to which the official reader follows a header. */
const MAX_DEPTH = 127;

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** What the official reader takes for a size or an offset. */
const COUNT = /^\d+$/;

/** What is wrong with a header's text, in a user's words. */
export class HeaderError extends Error {
  override readonly name = "HeaderError";
}

/**
 * Parses a safetensors header as the official reader does, which is stricter than `JSON.parse`: valid
 * UTF-8, whole characters, no number out of range, no part nested deeper than 127, no field of a
 * tensor twice, `__metadata__` once, and sizes and offsets written as plain digits. Stricter still: a
 * tensor's name twice is refused, where that reader takes the last one.
 *
 * @throws HeaderError saying what is wrong.
 */
export function parseHeaderJson(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw new HeaderError("is not UTF-8");
  const text = bytes.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new HeaderError("is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new HeaderError("is not a JSON object");
  }
  checkTokens(text);
  return value as Record<string, unknown>;
}

/** A container that is open at some place of the text, and which keys may stand in it once only. */
interface Open {
  /** Undefined for a list. */
  readonly once: ((key: string) => boolean) | undefined;
  readonly seen: Set<string>;
  /** The key whose value stands here. */
  key: string | undefined;
}

const TENSOR_FIELDS = new Set(["dtype", "shape", "data_offsets"]);
const COUNTS = new Set(["shape", "data_offsets"]);

/** Checks what `JSON.parse` has lost; the text is valid JSON by now. */
function checkTokens(text: string): void {
  const open: Open[] = [];
  for (let at = 0; at < text.length; ) {
    const character = text[at] ?? "";
    if (character === '"') {
      const end = stringEnd(text, at);
      const string = readString(text.slice(at, end));
      at = end;
      if (isKey(text, at)) noteKey(open, string);
    } else if (character === "{" || character === "[") {
      open.push({
        once: character === "{" ? onceIn(open) : undefined,
        seen: new Set(),
        key: undefined,
      });
      if (open.length > MAX_DEPTH) throw new HeaderError(`is nested deeper than ${MAX_DEPTH}`);
      at++;
    } else if (character === "}" || character === "]") {
      open.pop();
      at++;
    } else if (character === "-" || (character >= "0" && character <= "9")) {
      NUMBER.lastIndex = at;
      const [token = ""] = NUMBER.exec(text) ?? [];
      at += token.length;
      checkNumber(open, token);
    } else {
      at++;
    }
  }
}

/** Behind the quote that closes the string that begins at `at`. */
function stringEnd(text: string, at: number): number {
  let end = at + 1;
  while (text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end + 1;
}

/** Whether the string that ends here is a key: a colon follows. */
function isKey(text: string, from: number): boolean {
  let at = from;
  while (" \t\n\r".includes(text[at] ?? "x")) at++;
  return text[at] === ":";
}

function readString(token: string): string {
  if (!token.includes("\\")) return token.slice(1, -1);
  const string: string = JSON.parse(token);
  // Half of a surrogate pair has no UTF-8, and would be replaced.
  if (Buffer.from(string).toString("utf8") !== string) {
    throw new HeaderError(`has half a character in ${token.slice(0, 60)}`);
  }
  return string;
}

function onceIn(open: readonly Open[]): (key: string) => boolean {
  if (open.length === 0) return () => true;
  const inTensor = open.length === 1 && open[0]?.key !== "__metadata__";
  return (key) => inTensor && TENSOR_FIELDS.has(key);
}

function noteKey(open: readonly Open[], key: string): void {
  const inside = open.at(-1);
  if (inside?.once === undefined) return;
  if (inside.once(key)) {
    if (inside.seen.has(key)) throw new HeaderError(`has "${key}" twice in one place`);
    inside.seen.add(key);
  }
  inside.key = key;
}

function checkNumber(open: readonly Open[], token: string): void {
  if (!Number.isFinite(Number(token)))
    throw new HeaderError(`has the number ${token.slice(0, 40)}`);
  // In the root, a tensor, and one of its lists: shape or data_offsets.
  const [, tensor] = open;
  const counts = open.length === 3 && tensor !== undefined && COUNTS.has(tensor.key ?? "");
  // A negative one is refused with its tensor's name.
  if (counts && !COUNT.test(token) && Number(token) >= 0) {
    throw new HeaderError(`has ${token.slice(0, 40)} as a size; sizes are plain digits`);
  }
}
