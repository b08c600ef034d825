import { ArgumentReader } from "./arguments.ts";
import type { Budget } from "./budget.ts";
import { atPath } from "./members.ts";
import { joinTexts, pairs, replaceText } from "./methods.ts";
import { testOf } from "./tests.ts";
import { capitalize, str, strip, titleFilter, toJson } from "./text.ts";
import {
  type Arguments,
  compare,
  equal,
  Float,
  isDict,
  iterate,
  lengthOf,
  numeric,
  orUndefined,
  Stream,
  Tuple,
  truth,
  typeName,
  Undefined,
  type Value,
  whole,
} from "./values.ts";

type Filter = (value: Value, given: Arguments, budget: Budget) => Value;

/** Texts are compared without their case, unless it is asked for. */
const folded = (value: Value, caseSensitive: boolean) =>
  typeof value === "string" && !caseSensitive ? value.toLowerCase() : value;

function sorted(
  items: readonly Value[],
  keyOf: (item: Value) => Value,
  caseSensitive: boolean,
  reverse: boolean,
): Value[] {
  const keyed = items.map((item) => ({ item, key: folded(keyOf(item), caseSensitive) }));
  // Equal items keep their order also when it is reversed, as Python's sort keeps it.
  keyed.sort((a, b) => (reverse ? compare(b.key, a.key) : compare(a.key, b.key)));
  return keyed.map(({ item }) => item);
}

/** `select`, `reject`, `selectattr`, `rejectattr`. */
const chooser =
  (byAttribute: boolean, keep: boolean): Filter =>
  (value, given, budget) => {
    if (given.named.size > 0) throw new Error("it names an argument of a test; not supported");
    const [path, ...rest] = byAttribute ? given.positional : [null, ...given.positional];
    if (path === undefined) throw new Error("it selects by an attribute without its name");
    const [name, ...parameters] = rest;
    if (name !== undefined && typeof name !== "string") throw new Error("a test's name is no text");
    const test = name === undefined ? truth : testOf(name, parameters);
    const compared = parameters.reduce<number>((sum, inner) => sum + budget.sizeOf(inner), 0);
    const chosen = iterate(value).filter((item) => {
      budget.spend(compared);
      return test(byAttribute ? atPath(item, path, budget) : item) === keep;
    });
    return new Stream("generator", chosen);
  };

function toInteger(value: Value, fallback: Value): Value {
  const number = numeric(value);
  if (number !== undefined) return whole(Math.trunc(number));
  if (typeof value !== "string") return fallback;
  const text = strip(value, undefined, { left: true, right: true });
  if (/^[-+]?\d+$/.test(text)) return whole(Number(text));
  const float = toFloat(value);
  return float === undefined ? fallback : whole(Math.trunc(float));
}

function toFloat(value: Value): number | undefined {
  const number = numeric(value);
  if (number !== undefined) return number;
  if (typeof value !== "string") return undefined;
  const text = strip(value, undefined, { left: true, right: true });
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

const text = (value: Value, name: string): string => {
  if (typeof value === "string") return value;
  if (value instanceof Undefined || numeric(value) !== undefined) return str(value);
  throw new Error(`it uses the filter "${name}" on ${typeName(value)}`);
};

/** Python splits lines at these, too. */
const LINE_BREAKS = /[^\P{Cc}\n\t]|[\u2028\u2029]/u;

const FILTERS: Readonly<Record<string, readonly [parameters: readonly string[], apply: Filter]>> = {
  trim: [
    ["chars"],
    (value, given) => {
      const chars = new ArgumentReader("trim", ["chars"], given).textOrNone("chars");
      return strip(text(value, "trim"), chars, { left: true, right: true });
    },
  ],
  upper: [[], (value) => text(value, "upper").toUpperCase()],
  lower: [[], (value) => text(value, "lower").toLowerCase()],
  capitalize: [[], (value) => capitalize(text(value, "capitalize"))],
  title: [[], (value) => titleFilter(text(value, "title"))],
  string: [[], (value) => str(value)],
  length: [[], (value) => lengthOf(value)],
  count: [[], (value) => lengthOf(value)],
  first: [[], (value) => orUndefined(iterate(value)[0], "the first of none")],
  last: [
    [],
    (value) => {
      lengthOf(value);
      return orUndefined(iterate(value).at(-1), "the last of none");
    },
  ],
  list: [[], (value) => [...iterate(value)]],
  items: [
    [],
    (value) => {
      if (value instanceof Undefined) return new Stream("generator", []);
      if (!isDict(value)) throw new Error(`it takes the items of ${typeName(value)}`);
      return new Stream("generator", pairs(value));
    },
  ],
  reverse: [
    [],
    (value) => {
      if (typeof value === "string") return [...value].reverse().join("");
      return new Stream("generator", [...iterate(value)].reverse());
    },
  ],
  abs: [
    [],
    (value) => {
      const number = numeric(value);
      if (number === undefined) throw new Error(`it takes abs of ${typeName(value)}`);
      return value instanceof Float ? new Float(Math.abs(number)) : Math.abs(number);
    },
  ],
  int: [
    ["default"],
    (value, given) => {
      const args = new ArgumentReader("int", ["default"], given);
      return toInteger(value, args.value("default") ?? 0);
    },
  ],
  float: [
    ["default"],
    (value, given) => {
      const args = new ArgumentReader("float", ["default"], given);
      const number = toFloat(value);
      return number === undefined ? (args.value("default") ?? new Float(0)) : new Float(number);
    },
  ],
  join: [
    ["d", "attribute"],
    (value, given, budget) => {
      const args = new ArgumentReader("join", ["d", "attribute"], given);
      const path = args.value("attribute");
      const items = iterate(value).map((item) =>
        str(path === undefined ? item : atPath(item, path, budget)),
      );
      return joinTexts(items, str(args.value("d") ?? ""), budget);
    },
  ],
  default: [["default_value", "boolean"], orDefault],
  d: [["default_value", "boolean"], orDefault],
  replace: [
    ["old", "new", "count"],
    (value, given, budget) => {
      const args = new ArgumentReader("replace", ["old", "new", "count"], given);
      const count = args.value("count") === null ? -1 : args.whole("count", -1);
      const [old, replacement] = [str(args.value("old") ?? ""), str(args.value("new") ?? "")];
      return replaceText(str(value), old, replacement, count, budget);
    },
  ],
  tojson: [
    ["ensure_ascii", "indent", "separators", "sort_keys"],
    (value, given, budget) => {
      const names = ["ensure_ascii", "indent", "separators", "sort_keys"];
      const args = new ArgumentReader("tojson", names, given);
      if (args.flag("sort_keys")) throw new Error("it sorts the keys of JSON; not supported");
      if ((args.value("separators") ?? null) !== null)
        throw new Error("it sets JSON's separators; not supported");
      const indent = (args.value("indent") ?? null) === null ? undefined : args.whole("indent", 0);
      if (indent !== undefined) budget.allow(budget.sizeOf(value) * (Math.abs(indent) + 1));
      const json = toJson(value, indent, indent === undefined ? [", ", ": "] : [",", ": "]);
      if (args.flag("ensure_ascii") && /[^\p{ASCII}]/u.test(json)) {
        return json.replace(
          /[\u0080-\uffff]/g,
          (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
        );
      }
      return json;
    },
  ],
  indent: [
    ["width", "first", "blank"],
    (value, given, budget) => {
      const args = new ArgumentReader("indent", ["width", "first", "blank"], given);
      const width = args.value("width") ?? 4;
      const pad =
        typeof width === "string" ? width : " ".repeat(bounded(args.whole("width", 4), budget));
      const lines = text(value, "indent").split("\n");
      if (lines.some((line) => LINE_BREAKS.test(line))) {
        throw new Error("it indents a text with unusual line breaks; not supported");
      }
      budget.allow(lines.length * pad.length + str(value).length);
      const [first, blank] = [args.flag("first"), args.flag("blank")];
      return lines
        .map((line, i) =>
          (i === 0 && !first) || (line === "" && !blank && i > 0) ? line : pad + line,
        )
        .join("\n");
    },
  ],
  sort: [
    ["reverse", "case_sensitive", "attribute"],
    (value, given, budget) => {
      const args = new ArgumentReader("sort", ["reverse", "case_sensitive", "attribute"], given);
      const path = args.value("attribute") ?? null;
      const keyOf = (item: Value) => (path === null ? item : atPath(item, path, budget));
      return sorted(iterate(value), keyOf, args.flag("case_sensitive"), args.flag("reverse"));
    },
  ],
  dictsort: [
    ["case_sensitive", "by", "reverse"],
    (value, given) => {
      const args = new ArgumentReader("dictsort", ["case_sensitive", "by", "reverse"], given);
      if (!isDict(value)) throw new Error(`it sorts ${typeName(value)} as a dict`);
      const by = args.text("by", "key");
      if (by !== "key" && by !== "value")
        throw new Error("it sorts a dict by neither key nor value");
      const keyOf = (item: Value) =>
        item instanceof Tuple ? (item.items[by === "key" ? 0 : 1] ?? null) : null;
      return sorted(pairs(value), keyOf, args.flag("case_sensitive"), args.flag("reverse"));
    },
  ],
  unique: [
    ["case_sensitive"],
    (value, given, budget) => {
      const sensitive = new ArgumentReader("unique", ["case_sensitive"], given).flag(
        "case_sensitive",
      );
      const kept: Value[] = [];
      const seen: Value[] = [];
      for (const item of iterate(value)) {
        budget.spend(seen.length);
        const key = folded(item, sensitive);
        if (seen.some((known) => equal(known, key))) continue;
        seen.push(key);
        kept.push(item);
      }
      return new Stream("generator", kept);
    },
  ],
  map: [
    ["attribute", "default"],
    (value, given, budget) => {
      const [name, ...rest] = given.positional;
      if (name !== undefined) {
        if (typeof name !== "string") throw new Error("it maps by a filter's name that is no text");
        const inner = { positional: rest, named: given.named };
        return new Stream(
          "generator",
          iterate(value).map((item) => applyFilter(name, item, inner, budget)),
        );
      }
      const args = new ArgumentReader("map", ["attribute", "default"], given);
      const path = args.value("attribute");
      if (path === undefined) throw new Error("it maps without an attribute or a filter");
      const fallback = args.value("default");
      return new Stream(
        "generator",
        iterate(value).map((item) => {
          const found = atPath(item, path, budget);
          return found instanceof Undefined && fallback !== undefined ? fallback : found;
        }),
      );
    },
  ],
  select: [[], chooser(false, true)],
  reject: [[], chooser(false, false)],
  selectattr: [[], chooser(true, true)],
  rejectattr: [[], chooser(true, false)],
};

function orDefault(value: Value, given: Arguments): Value {
  const args = new ArgumentReader("default", ["default_value", "boolean"], given);
  const missing = value instanceof Undefined || (args.flag("boolean") && !truth(value));
  if (!missing) return value;
  const fallback = args.value("default_value");
  return fallback === undefined ? "" : fallback;
}

function bounded(width: number, budget: Budget): number {
  budget.allow(width);
  return Math.max(0, width);
}

/** Filters whose arguments are names of tests and filters, checked by themselves. */
const OPEN = new Set(["map", "select", "reject", "selectattr", "rejectattr"]);

/**
 * Applies one of Jinja's filters, with Jinja's meaning.
 *
 * @throws Error for a filter or an argument that is not supported.
 */
export function applyFilter(name: string, value: Value, given: Arguments, budget: Budget): Value {
  const [parameters, apply] = (Object.hasOwn(FILTERS, name) && FILTERS[name]) || [];
  if (parameters === undefined || apply === undefined) {
    throw new Error(`it uses the filter "${name}", which is not supported`);
  }
  if (!OPEN.has(name)) new ArgumentReader(name, parameters, given);
  budget.spend(budget.sizeOf(value));
  return budget.inside(`the filter "${name}"`, () => budget.made(apply(value, given, budget)));
}
