import { InputError } from "../../common/errors.ts";
import { RUN_LIMITS } from "../limits.ts";
import { DEFAULT_KEEP_SHARE, DEFAULT_MAX_CANDIDATES, KEEP_SHARES } from "../presets.ts";
import type { ExperimentDescriptor } from "./descriptor.ts";
import { parseWhole, single } from "./parameters.ts";
import { RANDOM } from "./pathways.ts";

/**
 * A share of 1, also as percent: "0.9", "90 %".
 *
 * @throws InputError when it is none, or out of bounds.
 */
export function parseShare(text: string): number {
  const [, number, percent] = text.trim().match(/^(\d+(?:\.\d+)?)\s*(%?)$/) ?? [];
  const value = Number(number) / (percent === "%" ? 100 : 1);
  const { min, max } = KEEP_SHARES;
  if (number === undefined || value < min || value > max) {
    throw new InputError(`the share to keep is "${text}"; it can be from ${min} to ${max}`);
  }
  return value;
}

const percentText = (share: number) => `${Number((100 * share).toFixed(2))} %`;

export const PATHWAY_SEARCH: ExperimentDescriptor<"pathway-search"> = {
  kind: "pathway-search",
  title: "Find Effective Pathway",
  command: "pathways",
  commandFlag: "find",
  commandId: "findPathway",
  summary: "search for the fewest edges that keep the answer",
  about: "Searches for the layer ranges with the fewest edges that keep the answer.",
  parameters: [
    {
      flag: "keep-share",
      value: "SHARE",
      title: "share of the clean probability to keep",
      input: { kind: "text", prompt: "Share of the clean run's answer probability to keep" },
      initial: () => [String(DEFAULT_KEEP_SHARE)],
      read: (values) => ({ keepShare: parseShare(single(values)) }),
    },
    {
      flag: "candidates",
      value: "N",
      title: "pathways tried at most",
      initial: () => [String(DEFAULT_MAX_CANDIDATES)],
      read: (values) => ({
        maxCandidates: parseWhole(
          single(values),
          "the number of pathways",
          1,
          RUN_LIMITS.candidates,
        ),
      }),
    },
    RANDOM,
  ],
  layout: "edges-left",
  view: "pathways",
  recipe: ({ keepShare, maxCandidates, randomSeed }) => ({ keepShare, maxCandidates, randomSeed }),
  phrases: ({ keepShare, maxCandidates, randomSeed }) => [
    `beam and local search, at most ${maxCandidates} pathways`,
    `keeping at least ${percentText(keepShare)} of the answer's probability`,
    ...(randomSeed === undefined ? [] : [`random control of seed ${randomSeed}`]),
  ],
  variant: ({ keepShare }) => `keep ${percentText(keepShare)}`,
};
