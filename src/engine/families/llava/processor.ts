import { type ProcessorRules, readResize } from "../../../video/image-processor.ts";
import { CLIP_PROCESSOR } from "../shared/clip-processor.ts";

/** Longer side that the reference's processor first brings a frame to. */
const LONGEST = 640;

/** The reference's processor for PLLaVA: it resizes before CLIP's does. */
export const PLLAVA_PROCESSOR: ProcessorRules = {
  ...CLIP_PROCESSOR,
  resizes: (config) => {
    const own = readResize(config, { shortestEdge: 224 });
    const resizes = config.flag("do_resize", true);
    // The reference cannot take a size of another form: such a checkpoint is none of its own.
    if (!("shortestEdge" in own)) return resizes ? [own] : [];
    const first = { longestAtMost: LONGEST, shortest: own.shortestEdge };
    return resizes ? [first, own] : [first];
  },
};
