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

/** What every figure's recipe ends with: model and prompt. */
export function runRecipe(store: Store): string[] {
  const { run } = store;
  if (run === null) return [];
  return [
    `model ${run.model.name} (${run.model.dtype})`,
    `prompt template ${run.prompt.template}`,
    `${run.tokens.grid.frames} frames of ${run.tokens.grid.rows} x ${run.tokens.grid.columns} tokens`,
  ];
}

/** An experiment's recipe as short phrases: "window 9", "layers 3-9". */
export function experimentRecipe(recipe: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(recipe).flatMap(([key, value]) => {
    if (key === "kind" || value === null || value === undefined) return [];
    return [`${NAMES[key] ?? key} ${phrase(value)}`];
  });
}

const MAX_PHRASE = 120;

function phrase(value: unknown): string {
  const text =
    Array.isArray(value) && value.every((item) => typeof item !== "object")
      ? value.join(", ")
      : typeof value === "object"
        ? JSON.stringify(value)
        : String(value);
  return text.length > MAX_PHRASE ? `${text.slice(0, MAX_PHRASE)}…` : text;
}

/** Half-open 0-based layer ranges for people: "layers 3-9 and 12". */
export function layersText(spans: readonly (readonly [number, number])[]): string {
  return spans.length === 0 ? "no layers" : `layers ${spans.map(layerRange).join(" and ")}`;
}
