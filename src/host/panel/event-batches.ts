import type { RunEvent, Tensor } from "../../protocol/events.ts";
import type { HostMessage } from "../../protocol/panel.ts";

/** Above this, a batch of events is closed: big enough to be few, small enough to draw between. */
const BATCH_BYTES = 2_000_000;
const BATCH_EVENTS = 500;

/** Splits events into `events` messages of bounded size; the first has index `from`. */
export function* eventBatches(
  run: string,
  events: readonly RunEvent[],
  from: number,
): Generator<HostMessage> {
  let batch: RunEvent[] = [];
  let start = from;
  let bytes = 0;
  for (const event of events) {
    batch.push(withOwnBuffers(event));
    bytes += weight(event);
    if (bytes >= BATCH_BYTES || batch.length >= BATCH_EVENTS) {
      yield { kind: "events", run, from: start, events: batch };
      start += batch.length;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield { kind: "events", run, from: start, events: batch };
}

/** The tensors an event carries. */
function tensorsOf(event: RunEvent): Tensor[] {
  if (event.type !== "layer.clean" && event.type !== "layer.branch") return [];
  const mass = event.type === "layer.clean" ? event.mass : undefined;
  const { lens, attention } = event;
  return [
    ...(mass === undefined ? [] : [mass.mass]),
    ...(lens === undefined ? [] : [lens.ids, lens.probabilities]),
    ...(attention === undefined ? [] : [attention.weights]),
  ];
}

/** Roughly how many bytes an event adds to a message. */
export function weight(event: RunEvent): number {
  if (event.type === "video.frames") {
    return event.frames.reduce((sum, frame) => sum + frame.base64.length, 0);
  }
  return tensorsOf(event).reduce((sum, { data }) => sum + data.byteLength, 2_000);
}

/**
 * The same tensor over a buffer of exactly its size. A typed array in a message drags its whole
 * buffer along, which for a slice of a file read at once would be the file.
 */
function ownBuffer(tensor: Tensor): Tensor {
  if (tensor.data.byteLength === tensor.data.buffer.byteLength) return tensor;
  return { ...tensor, data: tensor.data.slice() };
}

/** An event whose tensors can be posted as they are (see `ownBuffer`). */
export function withOwnBuffers(event: RunEvent): RunEvent {
  if (tensorsOf(event).length === 0) return event;
  if (event.type !== "layer.clean" && event.type !== "layer.branch") return event;
  const { lens, attention } = event;
  const readings = {
    ...(lens === undefined
      ? {}
      : {
          lens: {
            ...lens,
            ids: ownBuffer(lens.ids),
            probabilities: ownBuffer(lens.probabilities),
          },
        }),
    ...(attention === undefined
      ? {}
      : { attention: { ...attention, weights: ownBuffer(attention.weights) } }),
  };
  if (event.type === "layer.branch" || event.mass === undefined) return { ...event, ...readings };
  return { ...event, ...readings, mass: { ...event.mass, mass: ownBuffer(event.mass.mass) } };
}
