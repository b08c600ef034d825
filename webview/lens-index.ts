import type { LensReading } from "../src/protocol/events.ts";
import { tensorNumbers } from "../src/protocol/tensors.ts";
import { wordOf } from "../src/runs/words.ts";
import type { Store } from "./store.ts";

/** How a lens reading was made; readings of one kind belong together. */
export interface LensKind {
  readonly key: string;
  readonly norm: boolean;
  readonly unembedding: LensReading["unembedding"];
}

/** Top words of video tokens at one layer; index v is the video token. */
export interface LensLayer {
  readonly k: number;
  /** [video tokens, k], -1 where a token was not read. */
  readonly ids: Int32Array;
  readonly probabilities: Float32Array;
}

const kindKey = (reading: LensReading) => `${reading.norm ? "norm" : "raw"}-${reading.unembedding}`;

/** The run's lens readings by video token, laid out once per layer and kept. */
export class LensIndex {
  readonly #store: Store;
  readonly #layers = new Map<string, { sources: number; layer: LensLayer }>();
  readonly #words = new Map<number, string>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Kinds of reading the run holds, in order of appearance. */
  kinds(): LensKind[] {
    const kinds = new Map<string, LensKind>();
    for (const layer of this.#store.layers) {
      for (const reading of layer?.lens ?? []) {
        const key = kindKey(reading);
        if (!kinds.has(key)) kinds.set(key, { key, ...reading });
      }
      if (kinds.size > 0) break;
    }
    return [...kinds.values()];
  }

  /** Top words at a layer; undefined until they are read. */
  at(layer: number, kind: string): LensLayer | undefined {
    const readings = this.#store.layers[layer]?.lens.filter((r) => kindKey(r) === kind) ?? [];
    if (readings.length === 0) return undefined;
    const key = `${layer}/${kind}`;
    const known = this.#layers.get(key);
    if (known !== undefined && known.sources === readings.length) return known.layer;
    const made = this.#layOut(readings);
    if (made !== undefined) this.#layers.set(key, { sources: readings.length, layer: made });
    return made;
  }

  /** A token id's word for comparing and showing: trimmed, word-start signs removed. */
  word(id: number): string {
    const known = this.#words.get(id);
    if (known !== undefined) return known;
    const text = wordOf(this.#store.tokenText(id));
    if (this.#store.vocabulary.has(id)) this.#words.set(id, text);
    return text;
  }

  /** How often each id is the top word, over all layers read so far. */
  frequencies(kind: string): Map<number, number> {
    const counts = new Map<number, number>();
    for (let layer = 0; layer < this.#store.layers.length; layer += 1) {
      const lens = this.at(layer, kind);
      if (lens === undefined) continue;
      for (let row = 0; row < lens.ids.length; row += lens.k) {
        const id = lens.ids[row] ?? -1;
        if (id >= 0) counts.set(id, (counts.get(id) ?? 0) + 1);
      }
    }
    return counts;
  }

  #layOut(readings: readonly LensReading[]): LensLayer | undefined {
    const { map } = this.#store;
    const k = readings[0]?.ids.shape[1] ?? 0;
    if (map === null || k === 0) return undefined;
    const count = map.videoPositions.length;
    const ids = new Int32Array(count * k).fill(-1);
    const probabilities = new Float32Array(count * k);
    for (const reading of readings) {
      if (reading.ids.shape[1] !== k) continue;
      const from = tensorNumbers(reading.ids);
      const shares = tensorNumbers(reading.probabilities);
      let row = 0;
      for (const [start, end] of reading.positions) {
        for (let position = start; position < end; position += 1, row += 1) {
          const video = map.videoIndex[position] ?? -1;
          if (video < 0) continue;
          for (let i = 0; i < k; i += 1) {
            ids[video * k + i] = from[row * k + i] ?? -1;
            probabilities[video * k + i] = shares[row * k + i] ?? 0;
          }
        }
      }
    }
    return { k, ids, probabilities };
  }
}
