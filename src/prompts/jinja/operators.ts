import { type Budget, MAX_SIZE } from "./budget.ts";
import { str } from "./text.ts";
import {
  compare,
  contains,
  equal,
  Float,
  isList,
  numeric,
  Tuple,
  typeName,
  type Value,
  whole,
} from "./values.ts";

/** A binary operator other than `and` and `or`, with Python's meaning. */
export function binary(operator: string, left: Value, right: Value, budget: Budget): Value {
  budget.spend(budget.sizeOf(left) + budget.sizeOf(right));
  switch (operator) {
    case "==":
      return equal(left, right);
    case "!=":
      return !equal(left, right);
    case "<":
      return compare(left, right) < 0;
    case "<=":
      return compare(left, right) <= 0;
    case ">":
      return compare(left, right) > 0;
    case ">=":
      return compare(left, right) >= 0;
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    case "~":
      return str(left) + str(right);
  }
  const a = numeric(left);
  const b = numeric(right);
  if (a !== undefined && b !== undefined) {
    const floats = left instanceof Float || right instanceof Float;
    return arithmetic(operator, a, b, floats);
  }
  if (operator === "+") {
    if (typeof left === "string" && typeof right === "string") return left + right;
    if (isList(left) && isList(right)) return [...left, ...right];
    if (left instanceof Tuple && right instanceof Tuple) {
      return new Tuple([...left.items, ...right.items]);
    }
  }
  if (operator === "*") {
    const [whatLeft, whatRight] = [repeated(left, right, budget), repeated(right, left, budget)];
    const product = whatLeft ?? whatRight;
    if (product !== undefined) return product;
  }
  throw new Error(`it uses ${operator} between ${typeName(left)} and ${typeName(right)}`);
}

function repeated(value: Value, times: Value, budget: Budget): Value | undefined {
  if (typeof times !== "number" && typeof times !== "boolean") return undefined;
  const count = Math.max(0, Number(times));
  if (typeof value !== "string" && !isList(value)) return undefined;
  budget.allow(count * budget.sizeOf(value));
  if (typeof value === "string") return value.repeat(count);
  return Array.from({ length: count }, () => value).flat();
}

function arithmetic(operator: string, a: number, b: number, floats: boolean): Value {
  const made = (value: number) => (floats ? new Float(value) : whole(value));
  if (b === 0 && (operator === "/" || operator === "//" || operator === "%")) {
    throw new Error("it divides by zero");
  }
  switch (operator) {
    case "+":
      return made(a + b);
    case "-":
      return made(a - b);
    case "*":
      return made(a * b);
    case "/":
      return new Float(a / b);
    case "//":
      return made(Math.floor(a / b));
    case "%": {
      // Python's remainder has the divisor's sign.
      const rest = a % b;
      return made(rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest);
    }
    case "**":
      // JavaScript's powers of fractions differ from Python's in their last digit.
      if (floats || b < 0) throw new Error("it raises to a power with fractions; not supported");
      return whole(a ** b);
  }
  throw new Error(`it uses the operator ${operator}, which is not supported`);
}

/** `-value` and `+value`. */
export function signed(operator: string, value: Value): Value {
  const number = numeric(value);
  if (number === undefined) throw new Error(`it uses ${operator} before ${typeName(value)}`);
  const result = operator === "-" ? -number : number;
  return value instanceof Float ? new Float(result) : result + 0;
}

/** Python's slices. */
export function sliced<T>(
  items: readonly T[],
  start: number | undefined,
  stop: number | undefined,
  step: number,
): T[] {
  if (step === 0 || Math.abs(step) > MAX_SIZE) throw new Error("it slices with steps of that size");
  const { length } = items;
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const place = (at: number | undefined, fallback: number) =>
    at === undefined ? fallback : Math.min(Math.max(at < 0 ? at + length : at, low), high);
  const [from, to] =
    step > 0 ? [place(start, 0), place(stop, length)] : [place(start, length - 1), place(stop, -1)];
  const taken: T[] = [];
  for (let at = from; step > 0 ? at < to : at > to; at += step) {
    const item = items[at];
    if (item !== undefined) taken.push(item);
  }
  return taken;
}
