import { ArgumentReader } from "./arguments.ts";
import type { Budget } from "./budget.ts";
import { capitalize, SPACES, strip, title } from "./text.ts";
import {
  type Arguments,
  Callable,
  type Dict,
  isDict,
  isList,
  iterate,
  Stream,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

type TextMethod = (text: string, given: Arguments, budget: Budget) => Value;

const none = (name: string, given: Arguments) => new ArgumentReader(name, [], given);

const stripper =
  (name: string, left: boolean, right: boolean): TextMethod =>
  (text, given) => {
    const args = new ArgumentReader(name, ["chars"], given);
    return strip(text, args.textOrNone("chars"), { left, right });
  };

/** Whether a text begins or ends with one of those given. */
const affix =
  (name: string, has: (text: string, part: string) => boolean): TextMethod =>
  (text, given) => {
    const wanted = new ArgumentReader(name, ["prefix"], given).value("prefix");
    const parts = wanted instanceof Tuple ? wanted.items : [wanted];
    return parts.some((part) => {
      if (typeof part === "string") return has(text, part);
      throw new Error(`it gives ${name}() what is no text`);
    });
  };

/** `str.replace`; `count` below zero replaces all. */
export function replaceText(
  text: string,
  old: string,
  replacement: string,
  count: number,
  budget: Budget,
): string {
  const parts = old === "" ? ["", ...text, ""] : text.split(old);
  const times = count < 0 ? parts.length - 1 : Math.min(count, parts.length - 1);
  budget.allow(text.length + times * Math.max(0, replacement.length - old.length));
  const done = parts.slice(0, times + 1).join(replacement);
  return [done, ...parts.slice(times + 1)].join(old);
}

function split(text: string, given: Arguments): Value {
  const args = new ArgumentReader("split", ["sep", "maxsplit"], given);
  const separator = args.textOrNone("sep");
  const most = args.whole("maxsplit", -1);
  if (separator === "") throw new Error("it splits at an empty text");
  if (separator !== undefined) {
    const parts = text.split(separator);
    if (most < 0 || parts.length <= most) return parts;
    return [...parts.slice(0, most), parts.slice(most).join(separator)];
  }
  if (most >= 0) throw new Error("it splits at spaces a given number of times; not supported");
  return text.split(new RegExp(`[${SPACES}]+`, "u")).filter((part) => part !== "");
}

function splitFromRight(text: string, given: Arguments): Value {
  const args = new ArgumentReader("rsplit", ["sep", "maxsplit"], given);
  const separator = args.text("sep");
  if (separator === "") throw new Error("it splits at an empty text");
  const most = args.whole("maxsplit", -1);
  const parts: string[] = [];
  let rest = text;
  while (most < 0 || parts.length < most) {
    const at = rest.lastIndexOf(separator);
    if (at < 0) break;
    parts.unshift(rest.slice(at + separator.length));
    rest = rest.slice(0, at);
  }
  return [rest, ...parts];
}

const TEXT: Readonly<Record<string, TextMethod>> = {
  strip: stripper("strip", true, true),
  lstrip: stripper("lstrip", true, false),
  rstrip: stripper("rstrip", false, true),
  startswith: affix("startswith", (text, part) => text.startsWith(part)),
  endswith: affix("endswith", (text, part) => text.endsWith(part)),
  upper: (text, given) => {
    none("upper", given);
    return text.toUpperCase();
  },
  lower: (text, given) => {
    none("lower", given);
    return text.toLowerCase();
  },
  title: (text, given) => {
    none("title", given);
    return title(text);
  },
  capitalize: (text, given) => {
    none("capitalize", given);
    return capitalize(text);
  },
  split,
  rsplit: splitFromRight,
  replace: (text, given, budget) => {
    const args = new ArgumentReader("replace", ["old", "new", "count"], given);
    const count = args.whole("count", -1);
    return replaceText(text, args.text("old"), args.text("new"), count, budget);
  },
  removeprefix: (text, given) => {
    const prefix = new ArgumentReader("removeprefix", ["prefix"], given).text("prefix");
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  },
  removesuffix: (text, given) => {
    const suffix = new ArgumentReader("removesuffix", ["suffix"], given).text("suffix");
    return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  },
  find: (text, given) => {
    const at = text.indexOf(new ArgumentReader("find", ["sub"], given).text("sub"));
    return at < 0 ? -1 : [...text.slice(0, at)].length;
  },
  count: (text, given) => {
    const sub = new ArgumentReader("count", ["sub"], given).text("sub");
    return sub === "" ? [...text].length + 1 : text.split(sub).length - 1;
  },
  join: (text, given, budget) => {
    const value = new ArgumentReader("join", ["iterable"], given).value("iterable");
    if (value === undefined) throw new Error("it joins nothing");
    return joinTexts(
      iterate(value).map((item) => {
        if (typeof item !== "string") throw new Error("it joins what is no text");
        return item;
      }),
      text,
      budget,
    );
  },
};

export function joinTexts(texts: readonly string[], separator: string, budget: Budget): string {
  const length = texts.reduce((sum, text) => sum + text.length + separator.length, 0);
  budget.allow(length);
  return texts.join(separator);
}

const DICT: Readonly<Record<string, (dict: Dict, given: Arguments) => Value>> = {
  get: (dict, given) => {
    const args = new ArgumentReader("get", ["key", "default"], given);
    const key = args.value("key");
    const found = typeof key === "string" ? dict.get(key) : undefined;
    return found === undefined ? (args.value("default") ?? null) : found;
  },
  items: (dict, given) => {
    none("items", given);
    return new Stream("view", pairs(dict));
  },
  keys: (dict, given) => {
    none("keys", given);
    return new Stream("view", [...dict.keys()]);
  },
  values: (dict, given) => {
    none("values", given);
    return new Stream("view", [...dict.values()]);
  },
};

export function pairs(dict: Dict): Tuple[] {
  return [...dict].map(([key, value]) => new Tuple([key, value]));
}

/** Python's other methods, by type: a name among them is no missing attribute, but not supported. */
const OTHERS = {
  text:
    "casefold center encode expandtabs format format_map index isalnum isalpha isascii isdecimal " +
    "isdigit isidentifier islower isnumeric isprintable isspace istitle isupper ljust maketrans " +
    "partition rfind rindex rjust rpartition splitlines swapcase translate zfill",
  dict: "clear copy fromkeys pop popitem setdefault update",
  list: "append clear copy count extend index insert pop remove reverse sort",
  number:
    "as_integer_ratio bit_count bit_length conjugate denominator from_bytes fromhex hex imag " +
    "is_integer numerator real to_bytes",
};

function otherNames(value: Value): string {
  if (typeof value === "string") return OTHERS.text;
  if (isDict(value)) return OTHERS.dict;
  if (isList(value) || value instanceof Tuple) return OTHERS.list;
  return value === null ? "" : OTHERS.number;
}

/** A value's attribute that Python's type gives it; Undefined where there is none of that name. */
export function attributeOf(value: Value, name: string, budget: Budget): Value {
  if (value instanceof Undefined) throw new Error(`it uses ${value.what}, which is not defined`);
  if (name.startsWith("_")) throw new Error(`it uses the attribute ${name}; not supported`);
  if (typeof value === "string" && Object.hasOwn(TEXT, name)) {
    const method = TEXT[name];
    if (method !== undefined) return new Callable(name, (given) => method(value, given, budget));
  }
  if (isDict(value) && Object.hasOwn(DICT, name)) {
    const method = DICT[name];
    if (method !== undefined) return new Callable(name, (given) => method(value, given));
  }
  if (value instanceof Callable || value instanceof Stream) {
    throw new Error(`it uses the attribute ${name} of what has none here`);
  }
  if (otherNames(value).split(" ").includes(name)) {
    throw new Error(`it uses the method ${name}, which is not supported`);
  }
  return new Undefined(name);
}
