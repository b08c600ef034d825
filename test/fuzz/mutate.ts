import fc from "fast-check";

/**
 * One change to a good input, as plain numbers: they mean the same in every process, and fast-check
 * shrinks them towards few, small and early changes.
 */
export interface Edit {
  /** What is done; taken modulo the kinds there are. */
  readonly kind: number;
  /** Where: a path of children in JSON, an offset in bytes and text; each modulo what there is. */
  readonly at: readonly number[];
  /** What is put there; modulo the values there are, or a length. */
  readonly value: number;
}

/** A good input, by its number, and what is changed in it. */
export interface Mutated {
  readonly base: number;
  readonly edits: readonly Edit[];
}

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.nat(1_000),
  at: fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 6 }),
  value: fc.nat(1_000_000),
});

/** Changed inputs of `bases` good ones. */
export function mutated(bases: number, maxEdits = 4): fc.Arbitrary<Mutated> {
  const edits = fc.array(edit, { minLength: 1, maxLength: maxEdits });
  return fc.record({ base: fc.nat(Math.max(0, bases - 1)), edits });
}

const DEEP: unknown = JSON.parse("[".repeat(2_000) + "]".repeat(2_000));
const HOSTILE_KEYS = ["__proto__", "constructor", "toString", "", "0", "length", "\u0000"];

/** Values that readers of JSON trip over. */
const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, 1, -1, 2, 7, 0.5, -0.5, 1e-300, 64, 1_000, 65_537, 1e6, 1e9],
  ...[4_294_967_295, 4_294_967_296, 9_007_199_254_740_991, 1e19, 1e308, -1e308],
  ...["", " ", "0", "1e9", "NaN", "null", "..", "/etc/passwd", "../../x", "\u0000", "\ud800"],
  ...["[text](command:x)", "<script>", "\u202e", "a".repeat(100_000), "{{ x }}", "(a+)+$", "%s"],
  ...["float16", "F32", "gelu", "llava", "default", "linear", "<image>", "A"],
  ...[[], {}, [[]], [null], [0], [1e9], [-1], ["a"], [[0, 4e9]], { a: 1 }, { type: "x" }],
  ...[Array.from({ length: 5_000 }, (_, i) => i), DEEP],
];

const RICHER: readonly ((parent: unknown, key: string | number, value: number) => void)[] = [
  (parent, key, value) => put(parent, key, structuredClone(VALUES[value % VALUES.length])),
  (parent, key) => remove(parent, key),
  (parent, key, value) => {
    const kept = get(parent, key);
    remove(parent, key);
    const name = HOSTILE_KEYS[value % HOSTILE_KEYS.length] ?? "";
    if (Array.isArray(parent)) parent.push(kept);
    else put(parent, name, kept);
  },
  (parent, key, value) => {
    const here = get(parent, key);
    if (typeof here !== "number") return;
    const factors = [-1, 0, 0.5, 2, 10, 1e3, 1e6, 1e12, 1.0000001];
    put(parent, key, here * (factors[value % factors.length] ?? 1));
  },
  (parent, key, value) => {
    const here = get(parent, key);
    if (Array.isArray(here) && here.length > 0) {
      const times = [2, 3, 100][value % 3] ?? 2;
      put(parent, key, Array.from({ length: times }, () => here).flat());
    } else if (typeof here === "string") put(parent, key, here.repeat([0, 2, 500][value % 3] ?? 2));
  },
  (parent, key, value) => {
    // A part of another place.
    if (!Array.isArray(parent)) return;
    const other = value % Math.max(1, parent.length);
    const [a, b] = [parent[Number(key)], parent[other]];
    parent[Number(key)] = b;
    parent[other] = a;
  },
];

function get(parent: unknown, key: string | number): unknown {
  return Reflect.get(Object(parent), key);
}

function put(parent: unknown, key: string | number, value: unknown): void {
  Object.defineProperty(parent, key, {
    ...{ value, enumerable: true, configurable: true, writable: true },
  });
}

function remove(parent: unknown, key: string | number): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else Reflect.deleteProperty(Object(parent), key);
}

/** A JSON value with changes; the value given is left alone. */
export function changeJson(value: unknown, edits: readonly Edit[]): unknown {
  const root = { value: structuredClone(value) };
  for (const { kind, at, value: what } of edits) {
    let parent: unknown = root;
    let key: string | number = "value";
    for (const step of at) {
      const here = get(parent, key);
      const keys =
        Array.isArray(here) && here.length > 0
          ? [step % here.length]
          : typeof here === "object" && here !== null
            ? Object.keys(here)
            : [];
      if (keys.length === 0) break;
      parent = here;
      key = keys[step % keys.length] ?? "";
    }
    RICHER[kind % RICHER.length]?.(parent, key, what);
  }
  return root.value;
}

/** Bytes with changes; those given are left alone. */
export function changeBytes(bytes: Uint8Array, edits: readonly Edit[]): Buffer {
  let changed = Buffer.from(bytes);
  for (const { kind, at, value } of edits) {
    if (changed.length === 0) break;
    // Headers are small and first: every other change is among the first few hundred bytes.
    const [where = 0, near = 0] = at;
    const reach = near % 2 === 0 ? changed.length : Math.min(changed.length, 512);
    const offset = where % reach;
    const length = (value % 64) + 1;
    switch (kind % 6) {
      case 0:
        changed[offset] = value & 0xff;
        break;
      case 1:
        changed[offset] = (changed[offset] ?? 0) ^ (1 << (value % 8));
        break;
      case 2:
        changed = changed.subarray(0, offset);
        break;
      case 3:
        changed = Buffer.concat([changed.subarray(0, offset), changed.subarray(offset + length)]);
        break;
      case 4: {
        const again = changed.subarray(offset, offset + length);
        changed = Buffer.concat([changed.subarray(0, offset), again, changed.subarray(offset)]);
        break;
      }
      default:
        changed.fill(
          [0, 0xff, 0x7f, 0x80][value % 4] ?? 0,
          offset,
          Math.min(offset + 4, changed.length),
        );
    }
  }
  return changed;
}

/** Pieces that readers of YAML, Jinja and JSON trip over. */
const PIECES: readonly string[] = [
  ...[
    "\n",
    "\t",
    "  ",
    ":",
    "- ",
    "#",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!js/function ",
    "|\n",
  ],
  ...["---\n", "...\n", "%YAML 1.2\n", "? ", "'", '"', "\\", "{", "}", "[", "]", ",", "\u0000"],
  ...["\ufeff", "\ud800", "\u202e", "\u2028", "~", "0x1F", "1e400", ".inf", "-.nan", "2001-01-01"],
  ...["{{ ", " }}", "{% for i in range(100000000) %}", "{% endfor %}", "{% raw %}", "{# "],
  ...["{% for m in messages %}", "{{ 'a' * 1000000000 }}", "{% set x = x %}", "{{ x.y.z() }}"],
  ...["{{ raise_exception('no') }}", "{{ messages[9].content }}", "{% if 1 %}", "{% macro f() %}"],
  ...["{{ f() }}", "(a+)+$", "<image>", "frames: 4000000000\n", "start: 5\n", "video: a\n"],
  ...["questions:\n", "options: [A]\n", "answer: 1\n", "a".repeat(10_000), "[".repeat(5_000)],
];

/** A text with changes. */
export function changeText(text: string, edits: readonly Edit[]): string {
  let changed = text;
  for (const { kind, at, value } of edits) {
    const [where = 0, more = 0] = at;
    const offset = where % (changed.length + 1);
    const length = (more % 40) + 1;
    const [before, after] = [changed.slice(0, offset), changed.slice(offset)];
    switch (kind % 5) {
      case 0:
      case 1:
        changed = before + (PIECES[value % PIECES.length] ?? "") + after;
        break;
      case 2:
        changed = before + after.slice(length);
        break;
      case 3:
        changed = before + after.slice(0, length).repeat([2, 50, 2_000][value % 3] ?? 2) + after;
        break;
      default:
        changed = before + String.fromCharCode(value % 0x10000) + after.slice(1);
    }
  }
  return changed.length > 2_000_000 ? changed.slice(0, 2_000_000) : changed;
}
