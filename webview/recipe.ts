import { gridInWords } from "../src/protocol/grid.ts";
import { layerRange } from "./dom.ts";
import type { Store } from "./store.ts";

/** Names of recipe entries as they are shown; entries without one are shown by their own name. */
const NAMES: Readonly<Record<string, string>> = {
  target: "target",
  targets: "targets",
  window: "window",
  style: "window style",
  layers: "layers",
  heads: "heads",
  seed: "seed",
};

/** The kept ranges of pathways, in words. */
const KEPT: Readonly<Record<string, string>> = {
  crossFrame: "cross-frame kept in layers",
  videoToQuestion: "video → question kept in layers",
  questionToLast: "question → last kept in layers",
};

/** What every figure's recipe ends with: model and prompt. */
export function runRecipe(store: Store): string[] {
  const { run } = store;
  if (run === null) return [];
  return [
    `model ${run.model.name} (${run.model.dtype})`,
    `prompt template ${run.prompt.template}`,
    gridInWords(run.tokens.grid),
  ];
}

/** An experiment's recipe as short phrases: "window 9", "layers 3-9". */
export function experimentRecipe(recipe: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(recipe).flatMap(([key, value]) => {
    if (key === "kind" || value === null || value === undefined) return [];
    return [phrase(key, value)];
  });
}

const MAX_PHRASE = 120;

const isPair = (value: unknown): value is [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every((item) => typeof item === "number");

function phrase(key: string, value: unknown): string {
  const name = NAMES[key] ?? key;
  // Centres are half-open ranges, `layers` and the kept ranges of pathways are inclusive; both 0-based.
  if (key === "centres" && Array.isArray(value) && value.every(isPair)) {
    return `centres: ${layersText(value)}`;
  }
  if ((key === "layers" || key in KEPT) && isPair(value)) {
    return `${KEPT[key] ?? name} ${value[0] + 1}-${value[1] + 1}`;
  }
  if (key === "heads" && Array.isArray(value)) {
    return `heads ${value.map((head) => Number(head) + 1).join(", ")}`;
  }
  if ((key === "from" || key === "to") && Array.isArray(value)) {
    return `${key} ${value.length} positions`;
  }
  if (key === "cuts" && Array.isArray(value)) {
    return `cuts: ${value.length === 0 ? "none" : value.map(cutText).join(", ")}`;
  }
  const flat = Array.isArray(value) && value.every((item) => typeof item !== "object");
  const text = flat
    ? value.join(", ")
    : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
  return `${name} ${text.length > MAX_PHRASE ? `${text.slice(0, MAX_PHRASE)}…` : text}`;
}

/** A named cut between token groups: "video -/-> last in layers 3-9". */
function cutText(cut: unknown): string {
  const { name, layers } = (cut ?? {}) as { readonly name?: unknown; readonly layers?: unknown };
  return `${name}${isPair(layers) ? ` in layers ${layers[0] + 1}-${layers[1] + 1}` : ""}`;
}

/** Half-open 0-based layer ranges for people: "layers 3-9 and 12". */
export function layersText(spans: readonly (readonly [number, number])[]): string {
  return spans.length === 0 ? "no layers" : `layers ${spans.map(layerRange).join(" and ")}`;
}
