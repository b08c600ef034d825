import { str } from "./text.ts";
import {
  Callable,
  compare,
  contains,
  equal,
  Float,
  isDict,
  isList,
  numeric,
  Stream,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

type Test = (value: Value, argument: Value) => boolean;

const isText = (value: Value) => typeof value === "string";

function remainder(value: Value, by: number): number {
  if (typeof value !== "number" && typeof value !== "boolean") {
    throw new Error("it tests whether what is no whole number is odd or even");
  }
  return Math.abs(Number(value) % by);
}

/** `str.islower`, `str.isupper`: all letters with a case have this one, and there are some. */
function hasCase(value: Value, wanted: RegExp, other: RegExp): boolean {
  const text = str(value);
  return wanted.test(text) && !other.test(text);
}

const TESTS: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === "boolean",
  callable: (value) => value instanceof Callable || value instanceof Undefined,
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  true: (value) => value === true,
  false: (value) => value === false,
  string: isText,
  number: (value) => numeric(value) !== undefined,
  integer: (value) => typeof value === "number",
  float: (value) => value instanceof Float,
  mapping: isDict,
  iterable: (value) =>
    isText(value) ||
    isList(value) ||
    isDict(value) ||
    value instanceof Tuple ||
    value instanceof Stream ||
    value instanceof Undefined,
  sequence: (value) =>
    isText(value) ||
    isList(value) ||
    isDict(value) ||
    value instanceof Tuple ||
    value instanceof Undefined ||
    (value instanceof Stream && value.kind === "range"),
  odd: (value) => remainder(value, 2) === 1,
  even: (value) => remainder(value, 2) === 0,
  lower: (value) => hasCase(value, /\p{Lowercase}/u, /[\p{Lu}\p{Lt}]/u),
  upper: (value) => hasCase(value, /\p{Uppercase}/u, /[\p{Ll}\p{Lt}]/u),
  eq: equal,
  equalto: equal,
  "==": equal,
  ne: (value, argument) => !equal(value, argument),
  "!=": (value, argument) => !equal(value, argument),
  lt: (value, argument) => compare(value, argument) < 0,
  lessthan: (value, argument) => compare(value, argument) < 0,
  "<": (value, argument) => compare(value, argument) < 0,
  le: (value, argument) => compare(value, argument) <= 0,
  "<=": (value, argument) => compare(value, argument) <= 0,
  gt: (value, argument) => compare(value, argument) > 0,
  greaterthan: (value, argument) => compare(value, argument) > 0,
  ">": (value, argument) => compare(value, argument) > 0,
  ge: (value, argument) => compare(value, argument) >= 0,
  ">=": (value, argument) => compare(value, argument) >= 0,
  in: (value, argument) => contains(argument, value),
};

/** Tests that compare with a second value. */
const WITH_ARGUMENT = new Set(Object.keys(TESTS).slice(Object.keys(TESTS).indexOf("eq")));

/** A test by its name (`is NAME`, `selectattr(…, NAME, …)`), with its arguments checked. */
export function testOf(name: string, given: readonly Value[]): (value: Value) => boolean {
  const test = Object.hasOwn(TESTS, name) ? TESTS[name] : undefined;
  if (test === undefined) throw new Error(`it uses the test "${name}", which is not supported`);
  const wanted = WITH_ARGUMENT.has(name) ? 1 : 0;
  if (given.length !== wanted) {
    throw new Error(`it gives the test "${name}" ${given.length} values, not ${wanted}`);
  }
  const [argument = null] = given;
  return (value) => test(value, argument);
}
