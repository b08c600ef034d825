import { fileFailure } from "../../common/file-failure.ts";
import type { FeatureLayout, FeatureStore } from "./store.ts";

/** A clip's video tokens, and whether they were known before. */
export interface KeptFeatures {
  /** [video tokens, d] */
  readonly tokens: Float32Array;
  readonly cached: boolean;
}

/**
 * Video features by content, so that a second question on a clip starts at the decoder: the latest
 * clips' in memory, and on the disk those of earlier processes. What is wrong with the disk costs
 * time only; it is told, and the features are computed.
 */
export class VisionCache {
  readonly #latest = new Map<string, Float32Array>();
  readonly #clips: number;
  readonly #store: FeatureStore | undefined;
  /** Once is enough to say that a folder cannot be written. */
  #toldFailure = false;

  /**
   * @param clips kept in memory; the least recently used one goes first.
   * @param store absent: nothing is kept on the disk.
   */
  constructor(clips: number, store?: FeatureStore) {
    this.#clips = clips;
    this.#store = store;
  }

  /**
   * The features under a key (`featureKey`), computed only when they are not kept yet.
   *
   * @param tell takes what the user may want to know of the disk's trouble.
   * @throws what `compute` throws, nothing else.
   */
  async features(
    key: string,
    layout: FeatureLayout,
    compute: () => Promise<Float32Array>,
    tell: (message: string) => void,
  ): Promise<KeptFeatures> {
    const known = this.#latest.get(key) ?? (await this.#read(key, layout, tell));
    const tokens = known ?? (await compute());
    this.#keep(key, tokens);
    if (known === undefined) await this.#write(key, layout, tokens, tell);
    return { tokens, cached: known !== undefined };
  }

  async #read(
    key: string,
    layout: FeatureLayout,
    tell: (message: string) => void,
  ): Promise<Float32Array | undefined> {
    const found = await this.#store?.read(key, layout);
    if (found?.kind === "damaged") {
      tell(`${this.#store?.folder}: the kept features of this clip are damaged; computed anew`);
    }
    return found?.kind === "found" ? found.tokens : undefined;
  }

  async #write(
    key: string,
    layout: FeatureLayout,
    tokens: Float32Array,
    tell: (message: string) => void,
  ): Promise<void> {
    try {
      await this.#store?.write(key, layout, tokens);
    } catch (error) {
      if (this.#toldFailure) return;
      this.#toldFailure = true;
      const folder = this.#store?.folder ?? "";
      const failed = "video features cannot be kept there for the next run";
      tell(fileFailure(folder, failed, error).message);
    }
  }

  #keep(key: string, tokens: Float32Array): void {
    this.#latest.delete(key);
    this.#latest.set(key, tokens);
    for (const oldest of this.#latest.keys()) {
      if (this.#latest.size <= this.#clips) break;
      this.#latest.delete(oldest);
    }
  }
}
