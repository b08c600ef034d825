import { gridInWords } from "../src/protocol/grid.ts";
import type { Store } from "./store.ts";

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
