/** What a name, key or index that does not exist stands for. */
export class Undefined {
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }
}

/** A Python `float`; an `int` is a JavaScript number. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** A `namespace(...)`: what loops write to. */
export class Namespace {
  readonly values: Map<string, Value>;

  constructor(values: Map<string, Value>) {
    this.values = values;
  }
}

/** Arguments of a call. */
export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** A function, macro or bound method. */
export class Callable {
  readonly name: string;
  readonly call: (given: Arguments) => Value;

  constructor(name: string, call: (given: Arguments) => Value) {
    this.name = name;
    this.call = call;
  }
}

/** The object `loop` of a loop's turn. */
export class LoopInfo {
  readonly attributes: ReadonlyMap<string, Value>;

  constructor(attributes: ReadonlyMap<string, Value>) {
    this.attributes = attributes;
  }
}

type StreamKind = "generator" | "view" | "range";

/**
 * What Python's generators and views are: gone over, and no more. A generator is true even when it is
 * empty, and gives its items once; the view of a dict, or a range, is as true as it is long.
 */
export class Stream {
  readonly kind: StreamKind;
  #items: readonly Value[];

  constructor(kind: StreamKind, items: readonly Value[]) {
    this.kind = kind;
    this.#items = items;
  }

  /** How many items are left, without going over them. */
  get size(): number {
    return this.#items.length;
  }

  /** The items, once for a generator. */
  take(): readonly Value[] {
    const items = this.#items;
    if (this.kind === "generator") this.#items = [];
    return items;
  }
}

export type Dict = ReadonlyMap<string, Value>;

/** A value of a template, as Python has it. */
export type Value =
  | null
  | boolean
  | number
  | Float
  | string
  | readonly Value[]
  | Tuple
  | Dict
  | Namespace
  | Callable
  | Stream
  | LoopInfo
  | Undefined;

/** What was looked up, or Undefined where there is nothing of that name. */
export function orUndefined(value: Value | undefined, what: string): Value {
  return value === undefined ? new Undefined(what) : value;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isDict(value: Value): value is Dict {
  return value instanceof Map;
}

/** The name of a value's type in Python. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "number":
      return "int";
    case "string":
      return "str";
  }
  if (value instanceof Float) return "float";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Namespace) return "Namespace";
  if (value instanceof Stream) return value.kind;
  if (value instanceof LoopInfo) return "LoopContext";
  if (value instanceof Callable) return "function";
  return isList(value) ? "list" : "dict";
}

/** A whole number that is exact; Python's have no bound, ours do. */
export function whole(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Error("it computes with a whole number beyond 2^53");
  return value;
}

/** JSON-like JavaScript data as a template's value: whole numbers are ints, objects dicts. */
export function fromData(data: unknown): Value {
  if (data === null || typeof data === "string" || typeof data === "boolean") return data;
  if (typeof data === "number") return Number.isInteger(data) ? whole(data) : new Float(data);
  if (Array.isArray(data)) return data.map(fromData);
  if (typeof data === "object") {
    return new Map(Object.entries(data).map(([key, value]) => [key, fromData(value)]));
  }
  throw new TypeError(`a template's value is a ${typeof data}`);
}

export function truth(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Tuple) return value.items.length > 0;
  if (isList(value)) return value.length > 0;
  if (isDict(value)) return value.size > 0;
  if (value instanceof Stream) return value.kind === "generator" || value.take().length > 0;
  return typeof value === "object" ? true : Boolean(value);
}

/** A number's value; undefined for what is none. */
export function numeric(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return value instanceof Float ? value.value : undefined;
}

/** Python's `==`. */
export function equal(a: Value, b: Value): boolean {
  const x = numeric(a);
  const y = numeric(b);
  if (x !== undefined || y !== undefined) return x === y;
  if (a instanceof Undefined) return b instanceof Undefined;
  if (isList(a)) return isList(b) && sameItems(a, b);
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items);
  if (isDict(a)) {
    if (!isDict(b) || a.size !== b.size) return false;
    return [...a].every(([key, value]) => {
      const other = b.get(key);
      return other !== undefined && equal(value, other);
    });
  }
  return a === b;
}

function sameItems(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, i) => equal(item, b[i] ?? null));
}

/** Python's order: negative, zero or positive. */
export function compare(a: Value, b: Value): number {
  const x = numeric(a);
  const y = numeric(b);
  if (x !== undefined && y !== undefined) return x - y;
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  const listsBoth = isList(a) && isList(b) ? [a, b] : undefined;
  const tuplesBoth = a instanceof Tuple && b instanceof Tuple ? [a.items, b.items] : undefined;
  const [left, right] = listsBoth ?? tuplesBoth ?? [];
  if (left === undefined || right === undefined) {
    throw new Error(`it compares ${typeName(a)} with ${typeName(b)}`);
  }
  const at = left.findIndex((item, i) => i >= right.length || !equal(item, right[i] ?? null));
  const [first, second] = [left[at], right[at]];
  if (first === undefined || second === undefined) return left.length - right.length;
  return compare(first, second);
}

/** By code points, not by UTF-16 code units. */
function compareTexts(a: string, b: string): number {
  const [x, y] = [[...a], [...b]];
  const at = x.findIndex((char, i) => char !== y[i]);
  if (at < 0 || at >= y.length) return x.length - y.length;
  return (x[at]?.codePointAt(0) ?? 0) - (y[at]?.codePointAt(0) ?? 0);
}

/** The items that a loop goes over. */
export function iterate(value: Value): readonly Value[] {
  if (isList(value)) return value;
  if (value instanceof Tuple) return value.items;
  if (isDict(value)) return [...value.keys()];
  if (typeof value === "string") return [...value];
  if (value instanceof Undefined) return [];
  if (value instanceof Stream) return value.take();
  throw new Error(`it goes over ${typeName(value)}, which has no items`);
}

/** How many items or characters a value has. */
export function lengthOf(value: Value): number {
  if (isDict(value)) return value.size;
  if (value instanceof Stream && value.kind === "generator") {
    throw new Error("it asks for the length of a generator");
  }
  return iterate(value).length;
}

/** Python's `in`. */
export function contains(container: Value, item: Value): boolean {
  if (typeof container === "string") {
    if (typeof item !== "string") throw new Error(`it looks for ${typeName(item)} in a text`);
    return container.includes(item);
  }
  if (isDict(container)) return typeof item === "string" && container.has(item);
  return iterate(container).some((found) => equal(found, item));
}
