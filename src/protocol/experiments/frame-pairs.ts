import type { ExperimentDescriptor } from "./descriptor.ts";
import { LAYERS, layerSpansText } from "./parameters.ts";

export const FRAME_PAIRS: ExperimentDescriptor<"frame-pairs"> = {
  kind: "frame-pairs",
  title: "Frame-Pair Knockout",
  command: "frame-pairs",
  commandId: "framePairs",
  summary: "each frame cut off each later frame, one pair at a time",
  about:
    "Cuts each frame off each later frame, one pair at a time, over one range of layers: which frames\n" +
    "must be read by which.",
  parameters: [LAYERS],
  layout: "frame-by-frame",
  view: "knockout",
  recipe: ({ layers }) => ({ layers }),
  phrases: ({ layers }) => [
    "one pair of frames at a time",
    layerSpansText([[layers[0], layers[1] + 1]]),
  ],
  variant: ({ layers }) => layerSpansText([[layers[0], layers[1] + 1]]),
};
