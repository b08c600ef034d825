import type { RunEvent, Tensor } from "../protocol/events.ts";
import { tensorNumbers } from "../protocol/tensors.ts";
import { recordedExperiment } from "./experiments.ts";
import { knockoutRecords } from "./records.ts";
import { foldRun, type LayerState } from "./state.ts";

/**
 * A run as one JSON value: what it was made of, the answer, every layer (numbered 0 … L-1) and every
 * experiment; tensors as nested lists of numbers. The pictures of the frames are left out.
 */
export function runToJson(events: readonly RunEvent[]): Record<string, unknown> {
  const state = foldRun(events);
  const { run, answer, finished } = state;
  return {
    format: "flowprobe-export",
    time: run?.time,
    model: run?.model,
    video: run?.video,
    prompt: run?.prompt,
    tokens: run?.tokens,
    answer: answer === null ? undefined : withoutType(answer),
    layers: state.layers.flatMap((layer, index) => (layer ? layerToJson(layer, index) : [])),
    experiments: [...state.experiments.values()].map((each) => {
      const { results, ...experiment } = recordedExperiment(each);
      return {
        ...experiment,
        points: results.map((result) => {
          const { experiment: _, ...point } = withoutType(result);
          return point;
        }),
      };
    }),
    generated: [...state.generations.values()].flatMap(({ experiment, series, tokens, texts }) =>
      tokens.map((token, step) => ({ experiment, series, step, token, text: texts[step] })),
    ),
    vocabulary: Object.fromEntries(state.vocabulary),
    notices: state.notices.map(({ level, message }) => ({ level, message })),
    finished: finished === null ? undefined : withoutType(finished),
  };
}

/** A layer with its latest reading of each sort, tensors as lists. */
function layerToJson({ normed, raw, mass, lens, attention }: LayerState, layer: number): object {
  return plain({
    ...{ layer, normed, raw },
    ...(mass === undefined ? {} : { mass }),
    ...(lens.length === 0 ? {} : { lens: lens.at(-1) }),
    ...(attention.length === 0 ? {} : { attention: attention.at(-1) }),
  });
}

/** The knockout results of one run as the reference's records. */
export function runRecords(events: readonly RunEvent[]): Record<string, unknown>[] {
  return knockoutRecords([foldRun(events)], { samples: "all" });
}

function withoutType<E extends { readonly type: string }>(event: E): Omit<E, "type"> {
  const { type: _, ...rest } = event;
  return rest;
}

/** The same value with nested lists in the place of tensors. */
function plain(value: object): object {
  return Object.fromEntries(
    Object.entries(value).map(([key, part]: [string, unknown]) => [key, plainPart(part)]),
  );
}

function plainPart(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return isTensor(value) ? nested(value) : plain(value);
}

function isTensor(value: object): value is Tensor {
  return "data" in value && ArrayBuffer.isView(value.data);
}

/** A tensor's numbers as nested lists, by its shape. */
export function nested(tensor: Tensor): unknown {
  const numbers = tensorNumbers(tensor);
  const build = (axis: number, start: number, size: number): unknown => {
    const extent = tensor.shape[axis];
    if (extent === undefined) return numbers[start];
    const step = extent === 0 ? 0 : size / extent;
    return Array.from({ length: extent }, (_, i) => build(axis + 1, start + i * step, step));
  };
  return build(0, 0, numbers.length);
}
