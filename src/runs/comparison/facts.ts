import type {
  AnswerReading,
  RunEvent,
  RunEventOf,
  RunModel,
  RunOption,
} from "../../protocol/events.ts";
import type { CounterfactualOrder, WindowStyle } from "../../protocol/vocabulary.ts";
import { meanMass } from "../mass.ts";
import { foldRun, type RunState } from "../state.ts";
import { USUAL_STYLE } from "../sweeps.ts";
import { type LensFacts, lensFacts } from "./lens-facts.ts";

/** One decoder layer's answer, as the logit lens reads it with the final norm and without. */
export interface LayerAnswer {
  readonly normed: AnswerReading;
  readonly raw: AnswerReading;
}

/** A knocked-out point: changes in percent of the clean run's probability. */
export interface SeriesPoint {
  readonly change: number;
  /** The same for the true option; null when it is not known. */
  readonly changeOfTruth: number | null;
  readonly newAnswer: string;
}

/** One series of a sweep, as a run measured it last. */
export interface SeriesFacts {
  /** The series, with the style where it is not the usual one, whose points mean something else. */
  readonly name: string;
  readonly kind: "knockout" | "keyword";
  /** Knockout target it belongs to; null for keywords and for files that do not say. */
  readonly target: string | null;
  /** Window's width in layers and its style, as far as the recipe says. */
  readonly window: number | null;
  readonly style: WindowStyle;
  /** By centre, 0-based, [layers]; null where nothing was measured. */
  readonly points: readonly (SeriesPoint | null)[];
}

/** Attention group mass, mean over heads: share of 1 by layer, query group and key group. */
export interface MassFacts {
  readonly queries: readonly string[];
  readonly keys: readonly string[];
  /** [layers][queries][keys]; null where a layer, or a pair of groups in it, was not read. */
  readonly means: readonly (readonly (readonly (number | null)[])[] | null)[];
}

/**
 * What a comparison needs of one run: a few thousand numbers, taken from its events alone. Plain data
 * without tensors, so that it can be sent to a webview as it is. Layers count from 0.
 */
export interface RunFacts {
  readonly model: Pick<RunModel, "name" | "family" | "dtype" | "embedded" | "layers" | "heads">;
  readonly video: {
    readonly path: string;
    /** Seconds of the clip looked at; null for its end. */
    readonly part: readonly [number, number | null] | null;
    readonly order: CounterfactualOrder | null;
    /** Sampled frames, by their index in the clip, as they were shown. */
    readonly frames: readonly number[];
  };
  readonly prompt: {
    readonly question: string;
    readonly options: readonly RunOption[];
    /** Label of the right option, or the right answer in words. */
    readonly answer: string | null;
    readonly keywords: readonly string[];
    readonly template: string;
    readonly text: string;
  };
  /** Positions of the prompt, and the grid of its video tokens. */
  readonly positions: number;
  readonly grid: { readonly frames: number; readonly rows: number; readonly columns: number };
  readonly answer: {
    readonly token: string;
    readonly probability: number;
    readonly correct: boolean | null;
  } | null;
  readonly status: RunEventOf<"run.finished">["status"] | "unfinished";
  /** [layers]; null where a layer was not read. */
  readonly layers: readonly (LayerAnswer | null)[];
  readonly series: readonly SeriesFacts[];
  readonly mass: MassFacts | null;
  readonly lens: LensFacts | null;
}

/**
 * Takes a run's facts from its events.
 *
 * @returns null when the events hold no `run.started`.
 */
export function runFacts(events: readonly RunEvent[]): RunFacts | null {
  const state = foldRun(events);
  const { run: started, answer, layerCount: count } = state;
  if (started === null) return null;
  const { model, video, prompt, tokens } = started;
  const layers = Array.from({ length: count }, (_, layer): LayerAnswer | null => {
    const read = state.layers[layer];
    return read === undefined ? null : { normed: read.normed, raw: read.raw };
  });
  return {
    model: {
      name: model.name,
      family: model.family,
      dtype: model.dtype,
      embedded: model.embedded,
      layers: count,
      heads: model.heads,
    },
    video: {
      path: video.path,
      part:
        video.start === undefined && video.end === undefined
          ? null
          : [video.start ?? 0, video.end ?? null],
      order: video.order ?? null,
      frames: video.frames.map(({ index }) => index),
    },
    prompt: {
      question: prompt.question,
      options: prompt.options,
      answer: prompt.answer ?? null,
      keywords: prompt.keywords,
      template: prompt.template,
      text: prompt.text,
    },
    positions: tokens.length,
    grid: tokens.grid,
    answer:
      answer === null
        ? null
        : {
            token: answer.answer.token,
            probability: answer.answer.probability,
            correct: answer.correct ?? null,
          },
    status: state.finished?.status ?? "unfinished",
    layers,
    series: seriesFacts(state),
    mass: massFacts(state),
    lens: lensFacts(state),
  };
}

/** Series of all sweeps; one that was measured more than once is taken from the last whole sweep. */
function seriesFacts({ experiments, layerCount }: RunState): SeriesFacts[] {
  const found = new Map<string, SeriesFacts & { readonly whole: boolean }>();
  for (const experiment of experiments.values()) {
    if (experiment.kind !== "knockout" && experiment.kind !== "keyword") continue;
    const { kind, recipe } = experiment;
    const { window, style } = recipe;
    const complete = experiment.seconds !== null;
    for (const [swept, { results }] of experiment.series) {
      const name = style === USUAL_STYLE ? swept : `${swept} (${style})`;
      if (found.get(name)?.whole === true && !complete) continue;
      const target = results[0]?.detail?.target;
      const points: (SeriesPoint | null)[] = new Array(layerCount).fill(null);
      for (const result of results) {
        if (result.layer >= layerCount) continue;
        points[result.layer] = {
          change: result.relative_diff,
          changeOfTruth: result.relative_diff_gt,
          newAnswer: result.new_answer,
        };
      }
      found.set(name, {
        name,
        kind,
        target: target ?? null,
        window,
        style,
        points,
        whole: complete,
      });
    }
  }
  return [...found.values()].map(({ whole: _, ...series }) => series);
}

/** Mass between the groups that are no single frames: what runs of other lengths have in common. */
function massFacts({ layers, layerCount }: RunState): MassFacts | null {
  const isShared = (name: string) => !name.startsWith("frame:");
  const first = layers.find((layer) => layer?.mass !== undefined)?.mass;
  if (first === undefined) return null;
  const queries = first.queryGroups.filter(isShared);
  const keys = first.keyGroups.filter(isShared);
  const means = Array.from({ length: layerCount }, (_, layer) => {
    const mass = layers[layer]?.mass;
    if (mass === undefined) return null;
    return queries.map((query) => keys.map((key) => meanMass(mass, query, key) ?? null));
  });
  return { queries, keys, means };
}
