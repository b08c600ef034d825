import type { ExperimentDescriptor } from "./descriptor.ts";
import { centresOf } from "./knockout.ts";
import { CENTRES, cutName, GROUPS, layerSpansText, WINDOW } from "./parameters.ts";

export const HEADS: ExperimentDescriptor<"heads"> = {
  kind: "heads",
  title: "Per-Head Knockout",
  command: "heads",
  commandId: "heads",
  summary: "a cut between two token groups, in each head alone",
  about:
    "Cuts one token group off another in one attention head at a time, in a window of layers around\n" +
    "every layer: which heads carry it.",
  parameters: [GROUPS, WINDOW, CENTRES],
  layout: "head-by-layer",
  view: "attention",
  recipe: ({ from, to, window, layers: range }, layers) => ({
    from,
    to,
    window,
    centres: centresOf(range, layers),
  }),
  phrases: (recipe) => [
    cutName(recipe),
    "one head at a time",
    `window of ${recipe.window} ${recipe.window === 1 ? "layer" : "layers"}`,
    ...(recipe.centres === undefined ? [] : [`centres: ${layerSpansText(recipe.centres)}`]),
  ],
  variant: (recipe) => `${cutName(recipe)}, w ${recipe.window}`,
};
