import {
  Callable,
  Float,
  isDict,
  isList,
  LoopInfo,
  type Namespace,
  Stream,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

/** Python's `str`: how a template prints a value. */
export function str(value: Value): string {
  if (typeof value === "string") return value;
  return value instanceof Undefined ? "" : repr(value);
}

/** Python's `repr`: how a value stands in a printed list. */
export function repr(value: Value): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return quoted(value);
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Tuple) {
    const items = value.items.map(repr);
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
  }
  if (isList(value)) return `[${value.map(repr).join(", ")}]`;
  if (isDict(value)) {
    return `{${[...value].map(([key, item]) => `${quoted(key)}: ${repr(item)}`).join(", ")}}`;
  }
  throw new Error(`it prints ${kindOf(value)}`);
}

function kindOf(value: Callable | LoopInfo | Namespace | Stream): string {
  if (value instanceof Stream) return `a ${value.kind}`;
  if (value instanceof Callable) return `the function ${value.name}`;
  return value instanceof LoopInfo ? "the loop" : "a namespace";
}

/** Python's shortest form of a float: an exponent from 1e16 on and below 1e-4. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits = "", exponent = ""] = value.toExponential().split("e");
    const [sign, power] = [exponent.slice(0, 1), exponent.slice(1)];
    return `${digits}e${sign}${power.padStart(2, "0")}`;
  }
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\\": "\\\\",
};

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = "";
  for (const char of text) {
    if (char === quote) out += `\\${char}`;
    else out += ESCAPES[char] ?? (/[\p{C}\p{Z}]/u.test(char) && char !== " " ? code(char) : char);
  }
  return quote + out + quote;
}

function code(char: string): string {
  const point = char.codePointAt(0) ?? 0;
  const hex = point.toString(16);
  if (point < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return point < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

/** What Python's `str.isspace` and `str.strip` take for white space. */
export const SPACES =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** `str.strip`: the characters given, or white space, from both ends or one. */
export function strip(
  text: string,
  characters: string | undefined,
  sides: { readonly left: boolean; readonly right: boolean },
): string {
  const chars = [...text];
  const isSpace = new RegExp(`^[${SPACES}]$`, "u");
  const goes = (char: string | undefined) =>
    char !== undefined &&
    (characters === undefined ? isSpace.test(char) : characters.includes(char));
  let [start, end] = [0, chars.length];
  while (sides.left && start < end && goes(chars[start])) start++;
  while (sides.right && start < end && goes(chars[end - 1])) end--;
  return chars.slice(start, end).join("");
}

/** `str.capitalize`: the first character in title case, all others in lower case. */
export function capitalize(text: string): string {
  const [first = "", ...rest] = [...text];
  return titled(first) + rest.join("").toLowerCase();
}

/** `str.title`: a letter after a letter in lower case, any other in title case. */
export function title(text: string): string {
  let out = "";
  let inWord = false;
  for (const char of text) {
    const cased = /[\p{Lu}\p{Ll}\p{Lt}]/u.test(char);
    out += cased ? (inWord ? char.toLowerCase() : titled(char)) : char;
    inWord = cased;
  }
  return out;
}

/** Jinja's own filter `title`: words begin after white space, hyphens and opening brackets. */
export function titleFilter(text: string): string {
  return text
    .split(new RegExp(`([-${SPACES}({[<]+)`, "u"))
    .map((word) => {
      const [first = "", ...rest] = [...word];
      return first.toUpperCase() + rest.join("").toLowerCase();
    })
    .join("");
}

function titled(char: string): string {
  const upper = char.toUpperCase();
  // "ß" and the ligatures become two letters, of which only the first is large.
  const [first = "", ...rest] = [...upper];
  return rest.length === 0 ? upper : first + rest.join("").toLowerCase();
}

/** `json.dumps(value, ensure_ascii=False)`, as transformers replaces the filter `tojson`. */
export function toJson(
  value: Value,
  indent: number | undefined,
  separators: readonly [string, string],
  depth = 0,
): string {
  if (value === null) return "null";
  if (typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Float) {
    if (!Number.isFinite(value.value)) throw new Error("it writes a number that is not finite");
    return floatText(value.value);
  }
  const inner = (item: Value) => toJson(item, indent, separators, depth + 1);
  let parts: string[];
  let brackets: readonly [string, string] = ["[", "]"];
  if (isList(value)) parts = value.map(inner);
  else if (value instanceof Tuple) parts = value.items.map(inner);
  else if (isDict(value)) {
    brackets = ["{", "}"];
    parts = [...value].map(([key, item]) => JSON.stringify(key) + separators[1] + inner(item));
  } else throw new Error("it writes a value as JSON that JSON has not");
  if (indent === undefined || parts.length === 0) {
    return brackets[0] + parts.join(separators[0]) + brackets[1];
  }
  const line = (level: number) => `\n${" ".repeat(indent * level)}`;
  const body = parts.join(separators[0] + line(depth + 1));
  return brackets[0] + line(depth + 1) + body + line(depth) + brackets[1];
}
