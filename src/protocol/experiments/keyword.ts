import type { ExperimentDescriptor } from "./descriptor.ts";
import { centresOf, windowPhrase, windowVariant } from "./knockout.ts";
import { CENTRES, layerSpansText, STYLE, WINDOW } from "./parameters.ts";

/** What the names of keywords' token groups begin with. */
const GROUP = "keyword:";

export const KEYWORD: ExperimentDescriptor<"keyword"> = {
  kind: "keyword",
  title: "Keyword Knockout",
  command: "keyword",
  commandId: "keyword",
  summary: "the video cut off each keyword, and each keyword off the answer",
  about:
    "For each keyword of the question: cuts the video off it, and it off the last position, in a\n" +
    "window of layers around every layer.",
  parameters: [WINDOW, { ...STYLE, input: undefined }, CENTRES],
  layout: "series-by-layer",
  view: "knockout",
  needs: "keywords",
  recipe: ({ window, style, layers: range }, layers) => ({
    window,
    style,
    centres: centresOf(range, layers),
  }),
  phrases: (recipe) => [
    `keywords ${recipe.keywords.map((group) => group.replace(GROUP, "")).join(", ")}`,
    windowPhrase(recipe),
    ...(recipe.centres === undefined ? [] : [`centres: ${layerSpansText(recipe.centres)}`]),
  ],
  variant: windowVariant,
};
