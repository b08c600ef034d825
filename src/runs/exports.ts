import type { RunEvent, RunEventOf, Tensor } from "../protocol/events.ts";
import { tensorNumbers } from "../protocol/tensors.ts";
import { experimentsOf } from "./experiments.ts";
import { knockoutRecords } from "./records.ts";

/**
 * A run as one JSON value: what it was made of, the answer, every layer (numbered 0 … L-1) and every
 * experiment; tensors as nested lists of numbers. The pictures of the frames are left out.
 */
export function runToJson(events: readonly RunEvent[]): Record<string, unknown> {
  const last = <T extends RunEvent["type"]>(type: T) =>
    events.findLast((event): event is RunEventOf<T> => event.type === type);
  const started = last("run.started");
  const answer = last("answer");
  const finished = last("run.finished");
  const vocabulary = new Map<number, string>();
  const layers = new Map<number, unknown>();
  const generated: unknown[] = [];
  const notices: unknown[] = [];
  for (const event of events) {
    if (event.type === "vocabulary") {
      for (const { id, text } of event.tokens) vocabulary.set(id, text);
    } else if (event.type === "layer.clean") {
      const { type: _, ...layer } = event;
      // A later observation of a layer adds to an earlier one.
      layers.set(event.layer, { ...(layers.get(event.layer) ?? {}), ...plain(layer) });
    } else if (event.type === "generation.token") {
      const { type: _, ...token } = event;
      generated.push(token);
    } else if (event.type === "notice") {
      notices.push({ level: event.level, message: event.message });
    }
  }
  return {
    format: "flowprobe-export",
    time: started?.time,
    model: started?.model,
    video: started?.video,
    prompt: started?.prompt,
    tokens: started?.tokens,
    answer: answer === undefined ? undefined : withoutType(answer),
    layers: [...layers].sort(([a], [b]) => a - b).map(([, layer]) => layer),
    experiments: experimentsOf(events).map(({ results, ...experiment }) => ({
      ...experiment,
      points: results.map((result) => {
        const { experiment: _, ...point } = withoutType(result);
        return point;
      }),
    })),
    generated,
    vocabulary: Object.fromEntries(vocabulary),
    notices,
    finished: finished === undefined ? undefined : withoutType(finished),
  };
}

/** The knockout results of one run as the reference's records. */
export function runRecords(events: readonly RunEvent[]): Record<string, unknown>[] {
  return knockoutRecords([events], { samples: "all" });
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
