import type { ExperimentDescriptor } from "./descriptor.ts";
import { centresOf } from "./knockout.ts";
import { CENTRES, layerSpansText } from "./parameters.ts";

export const EXIT: ExperimentDescriptor<"exit"> = {
  kind: "exit",
  title: "Exit Curve",
  command: "exit",
  commandId: "exit",
  summary: "from which layer on the video is no longer needed",
  about:
    "For each layer: cuts the video from every later row from that layer on, and answers again. Unlike\n" +
    "a sweep of video -/-> question, no row is left that still reads it.",
  parameters: [{ ...CENTRES, title: "layers to begin to cut at, counted from 1" }],
  layout: "series-by-layer",
  view: "knockout",
  recipe: ({ layers: range }, layers) => ({ centres: centresOf(range, layers) }),
  phrases: ({ centres }) => [
    "the video cut from every later row, from a layer to the last",
    ...(centres === undefined ? [] : [`first layers: ${layerSpansText(centres)}`]),
  ],
  variant: () => "video needed until",
};
