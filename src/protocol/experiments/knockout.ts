import type { PromptItem } from "../prompt-item.ts";
import { KNOCKOUT_TARGETS, type KnockoutTarget } from "../vocabulary.ts";
import type { ExperimentDescriptor } from "./descriptor.ts";
import { CENTRES, layerSpansText, parseChoice, STYLE, STYLE_TITLES, WINDOW } from "./parameters.ts";
import type { LayerRange, RecipeOf } from "./schemas.ts";

export const TARGET_TITLES: Readonly<Record<KnockoutTarget, string>> = {
  "cross-frame": "Cross-frame: earlier frames -/-> later frames",
  "vql-to-ql": "Video, question and last -/-> question and last",
  "question-and-options-to-last": "Question, true and false options -/-> last",
  "vq-to-true-opt": "Video and question -/-> true option",
};

const ALL = "all";

/** The targets that make sense for a question: some need options and a known answer. */
export function targetsFor(prompt: Pick<PromptItem, "options" | "answer">): KnockoutTarget[] {
  return KNOCKOUT_TARGETS.filter((target) => {
    if (target === "cross-frame" || target === "vql-to-ql") return true;
    return prompt.options.length > 0 && prompt.answer !== undefined;
  });
}

/** Swept centres as half-open ranges: the request's, or every layer. */
export function centresOf(range: LayerRange | undefined, layers: number): [number, number][] {
  const [first, last] = range ?? [0, layers - 1];
  return [[first, last + 1]];
}

/** A window and its style as a phrase. */
export function windowPhrase({ window, style }: Pick<RecipeOf<"knockout">, "window" | "style">) {
  const width = `window of ${window} ${window === 1 ? "layer" : "layers"}`;
  return style === "center" || style === "inverse"
    ? `${STYLE_TITLES[style].toLowerCase()}, ${width}`
    : STYLE_TITLES[style].toLowerCase();
}

/** A window and its style, short: "center, w 9". */
export function windowVariant({ window, style }: Pick<RecipeOf<"knockout">, "window" | "style">) {
  return style === "center" || style === "inverse" ? `${style}, w ${window}` : style;
}

export const KNOCKOUT: ExperimentDescriptor<"knockout"> = {
  kind: "knockout",
  title: "Knockout Sweep",
  command: "knockout",
  commandId: "knockout",
  summary: "attention-knockout sweeps on one clip",
  about:
    "Cuts attention edges in a window of layers around every layer, and shows what that does to the\n" +
    "answer's probability.",
  parameters: [
    {
      flag: "target",
      value: [...KNOCKOUT_TARGETS, ALL].join("|"),
      title: "what is cut",
      many: true,
      input: {
        kind: "pick",
        choices: ({ prompt }) =>
          targetsFor(prompt).map((value) => ({ value, title: TARGET_TITLES[value] })),
      },
      initial: ({ prompt }) => targetsFor(prompt),
      read: (values) => ({
        targets: values.includes(ALL)
          ? KNOCKOUT_TARGETS
          : values.map((value) => parseChoice(value, KNOCKOUT_TARGETS, "the target")),
      }),
    },
    WINDOW,
    STYLE,
    CENTRES,
  ],
  layout: "series-by-layer",
  view: "knockout",
  recipe: ({ targets, window, style, layers: range }, layers) => ({
    targets,
    window,
    style,
    centres: centresOf(range, layers),
  }),
  phrases: (recipe) => [
    `targets: ${recipe.targets.map((target) => TARGET_TITLES[target]).join("; ")}`,
    windowPhrase(recipe),
    ...(recipe.centres === undefined ? [] : [`centres: ${layerSpansText(recipe.centres)}`]),
  ],
  variant: windowVariant,
};
