import type { AttentionReading, MassReading, Tensor } from "../src/protocol/events.ts";
import { tensorNumbers } from "../src/protocol/tensors.ts";
import type { ReadLayer, Store } from "./store.ts";

/** The layers of one run: the clean one's or a branch's. */
type Layers = readonly (ReadLayer | undefined)[];

/** Numbers [start, start + length) of a tensor, widened from half precision where needed. */
function slice(tensor: Tensor, start: number, length: number) {
  return tensorNumbers({ dtype: tensor.dtype, data: tensor.data.subarray(start, start + length) });
}

/** A reading that holds a query's row; per-head readings win over averaged ones when asked for. */
function readingOf(layers: Layers, layer: number, query: number, perHead: boolean) {
  const readings = layers[layer]?.attention.filter((r) => r.queries.includes(query)) ?? [];
  return (
    readings.find((reading: AttentionReading) => reading.headAveraged !== perHead) ??
    (perHead ? undefined : readings[0])
  );
}

/** Whether any layer holds this query's attention, averaged or per head. */
export function hasAttention(layers: Layers, query: number, perHead = false): boolean {
  return layers.some((_, layer) => readingOf(layers, layer, query, perHead) !== undefined);
}

/**
 * Attention weights of one query position over all positions after a layer's softmax, averaged over
 * heads, or of one head; shape [S]. Undefined when the run does not hold them.
 */
export function attentionRow(
  layers: Layers,
  layer: number,
  query: number,
  head: number | null,
): Float32Array | Int32Array | Uint8Array | undefined {
  const reading = readingOf(layers, layer, query, head !== null);
  if (reading === undefined) return undefined;
  const [heads = 0, queries = 0, length = 0] = reading.weights.shape;
  const row = reading.queries.indexOf(query);
  if (head !== null) {
    if (head >= heads) return undefined;
    return slice(reading.weights, (head * queries + row) * length, length);
  }
  if (heads === 1) return slice(reading.weights, row * length, length);
  const mean = new Float32Array(length);
  for (let h = 0; h < heads; h += 1) {
    const part = slice(reading.weights, (h * queries + row) * length, length);
    part.forEach((value, i) => {
      mean[i] = (mean[i] ?? 0) + value / heads;
    });
  }
  return mean;
}

/** Query and key groups of the run's mass readings. */
export function massGroups(store: Store): { queries: readonly string[]; keys: readonly string[] } {
  const mass = store.layers.find((layer) => layer?.mass !== undefined)?.mass;
  return { queries: mass?.queryGroups ?? [], keys: mass?.keyGroups ?? [] };
}

/**
 * Attention of each frame's tokens to all earlier frames, mean over the frames from the second on, by
 * head; undefined when the run's groups are not by frame.
 */
export function crossFrameMass(mass: MassReading | undefined): Float32Array | undefined {
  if (mass === undefined) return undefined;
  const frames = mass.queryGroups
    .map((name, index) => ({ name, index, key: mass.keyGroups.indexOf(name) }))
    .filter(({ name, key }) => name.startsWith("frame:") && key >= 0)
    .sort((a, b) => Number(a.name.slice(6)) - Number(b.name.slice(6)));
  if (frames.length < 2) return undefined;
  const [heads = 0, queries = 0, keys = 0] = mass.mass.shape;
  const numbers = tensorNumbers(mass.mass);
  return Float32Array.from({ length: heads }, (_, head) => {
    let sum = 0;
    frames.forEach((frame, i) => {
      for (const earlier of frames.slice(0, i)) {
        sum += numbers[(head * queries + frame.index) * keys + earlier.key] ?? 0;
      }
    });
    return sum / (frames.length - 1);
  });
}
