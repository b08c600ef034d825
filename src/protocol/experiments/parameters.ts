import { InputError } from "../../common/errors.ts";
import { groupTitle } from "../group-names.ts";
import { RUN_LIMITS } from "../limits.ts";
import { WINDOW_STYLES, type WindowStyle } from "../vocabulary.ts";
import type { Parameter } from "./descriptor.ts";
import type { KeptRanges, LayerRange } from "./schemas.ts";

/** Parameters that several kinds of experiment share, and how layers are written. */

/**
 * A range of layers counted from 1, such as `6-15`, as 0-based and inclusive.
 *
 * @throws InputError when the text is no such range, or does not lie within the model's layers.
 */
export function parseLayerRange(text: string, layers?: number): LayerRange {
  const [, first, last] = text.trim().match(/^(\d+)(?:\s*-\s*(\d+))?$/) ?? [];
  const from = Number(first);
  const to = Number(last ?? first);
  if (first === undefined || from < 1 || to < from) {
    throw new InputError(`"${text}" is not a range of layers; write it as 6-15, counted from 1`);
  }
  if (layers !== undefined && to > layers) {
    throw new InputError(
      `layers ${from}-${to} are not a range within the model's layers 1-${layers}`,
    );
  }
  return [from - 1, to - 1];
}

/** A range as people write it: 0-based and inclusive [5, 14] is "6-15". */
export function layerRangeText([first, last]: LayerRange): string {
  return first === last ? String(first + 1) : `${first + 1}-${last + 1}`;
}

/** Half-open 0-based layer ranges for people: "layers 3-9 and 12". */
export function layerSpansText(spans: readonly (readonly [number, number])[]): string {
  if (spans.length === 0) return "no layers";
  const [[first = 0, end = 0] = []] = spans;
  const word = spans.length === 1 && end - first === 1 ? "layer" : "layers";
  return `${word} ${spans.map(([start, end]) => layerRangeText([start, end - 1])).join(" and ")}`;
}

/** A whole number within bounds. */
export function parseWhole(text: string, what: string, min: number, max: number): number {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new InputError(`${what} is "${text}"; a whole number from ${min} to ${max} is needed`);
  }
  return value;
}

/** The one value of a parameter that takes one; the last where a flag was repeated. */
export function single(values: readonly string[]): string {
  return values.at(-1) ?? "";
}

/** One of a closed set of words. */
export function parseChoice<T extends string>(text: string, known: readonly T[], what: string): T {
  const found = known.find((word) => word === text);
  if (found === undefined) {
    throw new InputError(`${what} is "${text}"; it can be ${known.join(", ")}`);
  }
  return found;
}

export const STYLE_TITLES: Readonly<Record<WindowStyle, string>> = {
  center: "Window around each layer",
  inverse: "Every layer but the window",
  top_down: "Each layer and all above it",
  bottom_up: "Each layer and all below it",
};

export const WINDOW: Parameter<{ window: number }> = {
  flag: "window",
  value: "W",
  title: "layers of the window",
  initial: ({ window }) => [String(window)],
  read: (values) => ({ window: parseWhole(single(values), "the window", 1, RUN_LIMITS.layers) }),
};

export const STYLE: Parameter<{ style: WindowStyle }> = {
  flag: "style",
  value: WINDOW_STYLES.join("|"),
  title: "which layers around the centre are cut",
  input: {
    kind: "pick",
    choices: () => WINDOW_STYLES.map((value) => ({ value, title: STYLE_TITLES[value] })),
  },
  initial: () => ["center"],
  read: (values) => ({ style: parseChoice(single(values), WINDOW_STYLES, "the style") }),
};

/** Window centres; none given: every layer. */
export const CENTRES: Parameter<{ layers?: LayerRange | undefined }> = {
  flag: "layers",
  value: "A-B",
  title: "window centres to try, counted from 1",
  initial: () => [],
  read: (values, { layers }) => ({ layers: parseLayerRange(single(values), layers) }),
};

/** The layers in which something is cut; all where none are given. */
export const LAYERS: Parameter<{ layers: LayerRange }> = {
  flag: "layers",
  value: "A-B",
  title: "layers to cut in, counted from 1",
  input: { kind: "text", prompt: "Cut in layers" },
  initial: ({ layers }) => [`1-${layers}`],
  read: (values, { layers }) => ({ layers: parseLayerRange(single(values), layers) }),
};

/** Cuts between token groups that are offered by name; the first three are the paper's pathway. */
const CUTS = ["video:question", "video:last", "question:last", "question-only:last"] as const;

/** `FROM:TO` as two token groups. Names of groups hold colons themselves: `option:A`, `frame:1`. */
export function parseGroups(text: string): { from: string; to: string } | undefined {
  const name = "(?:frame|option|keyword):[^:]+|[^:]+";
  const [, from, to] = text.match(new RegExp(`^(${name}):(${name})$`)) ?? [];
  return from === undefined || to === undefined ? undefined : { from, to };
}

/** What is cut between two token groups, as series name it. */
export function cutName({ from, to }: { readonly from: string; readonly to: string }): string {
  const [key, query] = [groupTitle(from), groupTitle(to)];
  return from === to ? `No ${key}` : `${key} -/-> ${query}`;
}

export const CUT_CHOICES = CUTS.map((value) => {
  const groups = parseGroups(value);
  return { value, title: groups === undefined ? value : cutName(groups) };
});
export const PATHWAY_CUTS: readonly string[] = CUTS.slice(0, 3);

export const GROUPS: Parameter<{ from: string; to: string }> = {
  flag: "cut",
  value: "FROM:TO",
  title: "token groups to cut between: keys, then queries",
  input: { kind: "pick", choices: () => CUT_CHOICES },
  initial: () => ["video:question"],
  read: (values) => {
    const groups = parseGroups(single(values));
    if (groups === undefined) {
      throw new InputError(`"${single(values)}" is not a cut; write FROM:TO, as video:last`);
    }
    return groups;
  },
};

/** Families of edges that a pathway keeps, as flags and captions name them. */
export const KEPT_NAMES = {
  "cross-frame": "crossFrame",
  "video-question": "videoToQuestion",
  "question-last": "questionToLast",
} as const satisfies Record<string, keyof KeptRanges>;

export const KEPT_TITLES: Readonly<Record<keyof KeptRanges, string>> = {
  crossFrame: "cross-frame",
  videoToQuestion: "video → question",
  questionToLast: "question → last",
};

/**
 * `cross-frame=6-15,…` as ranges; a family that is not named keeps nothing.
 *
 * @throws InputError naming the part that cannot be read.
 */
export function parseKept(text: string, layers?: number): KeptRanges {
  const kept: { -readonly [F in keyof KeptRanges]: LayerRange } = {};
  for (const part of text.split(",")) {
    const [name, range, ...rest] = part.split("=");
    const key = Object.entries(KEPT_NAMES).find(([known]) => known === name?.trim())?.[1];
    if (key === undefined || range === undefined || rest.length > 0) {
      const names = Object.keys(KEPT_NAMES).join(", ");
      throw new InputError(`"${part}" is not a kept range; write NAME=A-B with the names ${names}`);
    }
    kept[key] = parseLayerRange(range, layers);
  }
  return kept;
}

/** Kept ranges as `parseKept` reads them; "none" where nothing is kept. */
export function keptText(
  kept: { readonly [F in keyof KeptRanges]?: LayerRange | null | undefined },
) {
  const named = Object.entries(KEPT_NAMES).flatMap(([name, family]) => {
    const range = kept[family];
    return range == null ? [] : [`${name}=${layerRangeText(range)}`];
  });
  return named.length === 0 ? "none" : named.join(",");
}
