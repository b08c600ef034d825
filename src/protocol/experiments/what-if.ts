import { InputError } from "../../common/errors.ts";
import { groupTitle } from "../group-names.ts";
import type { ExperimentDescriptor } from "./descriptor.ts";
import { cutName, GROUPS, LAYERS, layerSpansText, single } from "./parameters.ts";
import type { RecipeOf } from "./schemas.ts";

function placeText(place: RecipeOf<"what-if">["from"]): string {
  if (typeof place === "string") return groupTitle(place);
  return `${place.length} ${place.length === 1 ? "position" : "positions"}`;
}

function headsText(heads: readonly number[]): string {
  return `${heads.length === 1 ? "head" : "heads"} ${heads.map((head) => head + 1).join(", ")}`;
}

export const WHAT_IF: ExperimentDescriptor<"what-if"> = {
  kind: "what-if",
  title: "What If",
  command: "what-if",
  commandId: "whatIf",
  summary: "one cut between two token groups, in layers and heads of your choice",
  about:
    "Cuts one token group off another, in the layers and heads that are named, and answers again.",
  parameters: [
    {
      ...GROUPS,
      read: (values, setting) => {
        const groups = GROUPS.read(values, setting, {});
        const { from = "", to = "" } = groups;
        return { ...groups, name: cutName({ from, to }) };
      },
    },
    LAYERS,
    {
      flag: "heads",
      value: "H,H…",
      title: "heads to cut in, counted from 1",
      initial: () => [],
      read: (values) => ({
        heads: single(values)
          .split(",")
          .map((text) => {
            const head = Number(text) - 1;
            if (Number.isInteger(head) && head >= 0) return head;
            throw new InputError(`"${text}" is not a head; write numbers from 1, as 1,4,7`);
          }),
      }),
    },
  ],
  layout: "list",
  view: "what-if",
  recipe: ({ name, from, to, layers, heads }) => ({ name, from, to, layers, heads }),
  phrases: ({ from, to, layers, heads }) => [
    `${placeText(from)} -/-> ${placeText(to)}`,
    layerSpansText([[layers[0], layers[1] + 1]]),
    heads === undefined ? "all heads" : headsText(heads),
  ],
  variant: ({ name }) => name,
};
