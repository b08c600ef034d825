import { WINDOW_STYLES, type WindowStyle } from "../../protocol/events.ts";
import { DEFAULT_KEEP_SHARE, KEEP_SHARES, pathwaySearch } from "../../protocol/presets.ts";
import type { PromptItem } from "../../protocol/prompt-item.ts";
import {
  type ExperimentRequest,
  KNOCKOUT_TARGETS,
  type KnockoutTarget,
  type LayerRange,
} from "../../protocol/requests.ts";
import { paperPathways, targetsFor } from "../engine/jobs.ts";
import { ask as askLine, pick, pickSeveral } from "../window.ts";

/** What an experiment's parameters are chosen for. */
export interface Setting {
  readonly prompt: PromptItem;
  /** Decoder layers of the model. */
  readonly layers: number;
  readonly window: number;
}

const TARGET_TEXTS: Readonly<Record<KnockoutTarget, string>> = {
  "cross-frame": "Earlier frames -/-> later frames",
  "vql-to-ql": "Video, question and last -/-> question and last",
  "question-and-options-to-last": "Question, true and false options -/-> last",
  "vq-to-true-opt": "Video and question -/-> true option",
};

const STYLE_TEXTS: Readonly<Record<WindowStyle, string>> = {
  center: "Window around each layer",
  inverse: "Every layer but the window",
  top_down: "Each layer and all above it",
  bottom_up: "Each layer and all below it",
};

/** Cuts between token groups that experiments on heads and on generation offer. */
const CUTS = [
  { from: "video", to: "question" },
  { from: "video", to: "last" },
  { from: "question", to: "last" },
  { from: "question-only", to: "last" },
] as const;
const cutName = ({ from, to }: (typeof CUTS)[number]) => `${from} -/-> ${to}`;

/** A 1-based layer range as typed, "6-15", as [first, last] 0-based; undefined when it is none. */
export function parseLayers(text: string, layers: number): LayerRange | undefined {
  const found = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(text);
  if (found === null) return undefined;
  const first = Number(found[1]) - 1;
  const last = Number(found[2] ?? found[1]) - 1;
  return first >= 0 && first <= last && last < layers ? [first, last] : undefined;
}

/** A share of 1 as typed in percent, "90" or "90 %"; NaN when it is none. */
export function parsePercent(text: string): number {
  const found = /^\s*(\d+(?:\.\d+)?)\s*%?\s*$/.exec(text);
  return found === null ? Number.NaN : Number(found[1]) / 100;
}

const shown = (range: LayerRange | undefined) =>
  range === undefined ? "" : `${range[0] + 1}-${range[1] + 1}`;

/** A range, null for an empty field where that is allowed, undefined when the user leaves. */
async function askLayers(
  title: string,
  prompt: string,
  layers: number,
  value: LayerRange | undefined,
  mayBeEmpty: boolean,
): Promise<LayerRange | null | undefined> {
  const text = await askLine({
    title,
    prompt,
    value: shown(value),
    stay: true,
    problem: (typed) => {
      if (mayBeEmpty && typed.trim() === "") return undefined;
      const example = `a range of layers from 1 to ${layers} is needed, like 2-${layers}`;
      return parseLayers(typed, layers) === undefined ? example : undefined;
    },
  });
  if (text === undefined) return undefined;
  return parseLayers(text, layers) ?? null;
}

async function askCuts(title: string): Promise<(typeof CUTS)[number][] | undefined> {
  const picked = await pickSeveral(
    CUTS.map((cut, index) => ({ label: cutName(cut), picked: index < 3, cut })),
    { title, placeHolder: "Cuts" },
  );
  return picked?.map(({ cut }) => cut);
}

/** Asks for the parameters of a kind of experiment; undefined when the user leaves. */
export const ASK_PARAMETERS = {
  async knockout({ prompt, window }: Setting): Promise<ExperimentRequest | undefined> {
    const title = `Knockout sweep, window of ${window} layers`;
    const possible = targetsFor(prompt);
    const targets = await pickSeveral(
      KNOCKOUT_TARGETS.filter((target) => possible.includes(target)).map((target) => ({
        label: target,
        description: TARGET_TEXTS[target],
        picked: true,
        target,
      })),
      { title, placeHolder: "Targets" },
    );
    if (targets === undefined || targets.length === 0) return undefined;
    const style = await pick(
      WINDOW_STYLES.map((name) => ({ label: name, description: STYLE_TEXTS[name], name })),
      { title, placeHolder: "Layers that are cut" },
    );
    if (style === undefined) return undefined;
    return {
      kind: "knockout",
      targets: targets.map(({ target }) => target),
      window,
      style: style.name,
    };
  },

  async pathways({ layers }: Setting): Promise<ExperimentRequest | undefined> {
    const paper = paperPathways(layers);
    if (paper.kind !== "pathways") return undefined;
    const ask = (step: number, what: string, value: LayerRange | undefined) =>
      askLayers(`Effective pathways (${step}/3)`, `Keep ${what} in layers`, layers, value, true);
    const crossFrame = await ask(1, "cross-frame attention", paper.crossFrame);
    if (crossFrame === undefined) return undefined;
    const videoToQuestion = await ask(2, "video → question attention", paper.videoToQuestion);
    if (videoToQuestion === undefined) return undefined;
    const questionToLast = await ask(3, "question → last attention", paper.questionToLast);
    if (questionToLast === undefined) return undefined;
    return {
      kind: "pathways",
      crossFrame: crossFrame ?? undefined,
      videoToQuestion: videoToQuestion ?? undefined,
      questionToLast: questionToLast ?? undefined,
      randomSeed: paper.randomSeed,
    };
  },

  async findPathway(): Promise<ExperimentRequest | undefined> {
    const { min, max } = KEEP_SHARES;
    const bounds = `a number from ${100 * min} to ${100 * max} is needed`;
    const inBounds = (share: number) => share >= min && share <= max;
    const text = await askLine({
      title: "Find effective pathway",
      prompt: "Keep this much of the answer's probability, in % of the clean run's",
      value: String(100 * DEFAULT_KEEP_SHARE),
      stay: true,
      problem: (typed) => (inBounds(parsePercent(typed)) ? undefined : bounds),
    });
    const keepShare = parsePercent(text ?? "");
    return inBounds(keepShare) ? pathwaySearch(keepShare) : undefined;
  },

  async heads({ window }: Setting): Promise<ExperimentRequest | undefined> {
    const picked = await pick(
      CUTS.map((cut) => ({ label: cutName(cut), cut })),
      { title: `Per-head knockout, window of ${window} layers`, placeHolder: "Edges to cut" },
    );
    return picked === undefined ? undefined : { kind: "heads", ...picked.cut, window };
  },

  async framePairs({ layers }: Setting): Promise<ExperimentRequest | undefined> {
    const all: LayerRange = [0, layers - 1];
    const range = await askLayers("Frame-pair knockout", "Cut in layers", layers, all, false);
    return range === undefined ? undefined : { kind: "frame-pairs", layers: range ?? all };
  },

  async keyword({ window }: Setting): Promise<ExperimentRequest | undefined> {
    return { kind: "keyword", window, style: "center" };
  },

  async generation({ layers }: Setting): Promise<ExperimentRequest | undefined> {
    const title = "Generation under cuts";
    const cuts = await askCuts(title);
    if (cuts === undefined) return undefined;
    const all: LayerRange = [0, layers - 1];
    const range = await askLayers(title, "Cut in layers", layers, all, false);
    if (range === undefined) return undefined;
    const named = cuts.map((cut) => ({ name: cutName(cut), ...cut, layers: range ?? all }));
    return { kind: "generation", maxTokens: 32, cuts: named };
  },
} as const;
export type ExperimentCommand = keyof typeof ASK_PARAMETERS;
