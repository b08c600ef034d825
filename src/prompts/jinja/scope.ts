import { ArgumentReader } from "./arguments.ts";
import {
  Callable,
  LoopInfo,
  Namespace,
  orUndefined,
  Stream,
  Undefined,
  type Value,
} from "./values.ts";

/** Names and what they stand for, with those of the scopes around. */
export class Scope {
  readonly #names = new Map<string, Value>();
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  get(name: string): Value {
    const found = this.#names.get(name);
    if (found !== undefined) return found;
    return orUndefined(this.#outer?.get(name), name);
  }

  set(name: string, value: Value): void {
    this.#names.set(name, value);
  }
}

/** As many numbers as a `range` may have, in Jinja's sandbox and here. */
const MAX_RANGE = 100_000;

/** Jinja's constants: names that nothing can hide. */
export const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
]);

/** The functions that every chat template finds, as transformers gives them. */
export function globalScope(): Scope {
  const scope = new Scope();
  const give = (callable: Callable) => scope.set(callable.name, callable);
  give(new Callable("range", range));
  give(
    new Callable("namespace", ({ positional, named }) => {
      if (positional.length > 0) throw new Error("it gives namespace() a value without a name");
      return new Namespace(new Map(named));
    }),
  );
  give(
    new Callable("dict", ({ positional, named }) => {
      if (positional.length > 0) throw new Error("it gives dict() a value without a name");
      return new Map(named);
    }),
  );
  give(
    new Callable("raise_exception", (given) => {
      throw new Error(new ArgumentReader("raise_exception", ["message"], given).text("message"));
    }),
  );
  give(
    new Callable("strftime_now", (given) => {
      const format = new ArgumentReader("strftime_now", ["format"], given).text("format");
      return formatTime(new Date(), format);
    }),
  );
  for (const name of ["lipsum", "cycler", "joiner", "self"]) {
    give(
      new Callable(name, () => {
        throw new Error(`it uses ${name}, which is not supported`);
      }),
    );
  }
  return scope;
}

const range: Callable["call"] = ({ positional, named }) => {
  const numbers = positional.map((value) => {
    if (typeof value !== "number") throw new Error("it gives range() what is no whole number");
    return value;
  });
  const [first, second, step = 1] = numbers;
  if (first === undefined || numbers.length > 3 || named.size > 0) {
    throw new Error("it gives range() other arguments than start, stop and step");
  }
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (step === 0) throw new Error("it makes a range with steps of zero");
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (count > MAX_RANGE) {
    throw new Error(`it makes a range of ${count} numbers; Jinja allows ${MAX_RANGE}`);
  }
  return new Stream(
    "range",
    Array.from({ length: count }, (_, i) => start + i * step),
  );
};

const two = (value: number) => String(value).padStart(2, "0");
const named = (date: Date, part: Intl.DateTimeFormatOptions) => date.toLocaleString("en-US", part);

const TIME: Readonly<Record<string, (date: Date) => string>> = {
  "%": () => "%",
  Y: (date) => String(date.getFullYear()),
  y: (date) => two(date.getFullYear() % 100),
  m: (date) => two(date.getMonth() + 1),
  d: (date) => two(date.getDate()),
  H: (date) => two(date.getHours()),
  M: (date) => two(date.getMinutes()),
  S: (date) => two(date.getSeconds()),
  B: (date) => named(date, { month: "long" }),
  b: (date) => named(date, { month: "short" }),
  A: (date) => named(date, { weekday: "long" }),
  a: (date) => named(date, { weekday: "short" }),
};

/** Python's `strftime` in the C locale. */
function formatTime(date: Date, format: string): string {
  return format.replace(/%(.?)/gs, (_, letter: string) => {
    const part = TIME[letter];
    if (part === undefined) throw new Error(`it formats the time with %${letter}; not supported`);
    return part(date);
  });
}

/** The object `loop` of the turn `i`. */
export function loopInfo(items: readonly Value[], i: number, changed: Callable): LoopInfo {
  const cycle = new Callable("loop.cycle", ({ positional }) => {
    if (positional.length === 0) throw new Error("it cycles through nothing");
    return positional[i % positional.length] ?? null;
  });
  return new LoopInfo(
    new Map<string, Value>([
      ["index", i + 1],
      ["index0", i],
      ["revindex", items.length - i],
      ["revindex0", items.length - i - 1],
      ["first", i === 0],
      ["last", i === items.length - 1],
      ["length", items.length],
      ["depth", 1],
      ["depth0", 0],
      ["previtem", i === 0 ? new Undefined("loop.previtem") : (items[i - 1] ?? null)],
      [
        "nextitem",
        i + 1 === items.length ? new Undefined("loop.nextitem") : (items[i + 1] ?? null),
      ],
      ["cycle", cycle],
      ["changed", changed],
    ]),
  );
}
