import type { RunEventOf } from "../src/protocol/events.ts";
import type { Picture } from "./pen.ts";

/** Kinds of picture taken from a run file; not SVG, which can hold script. */
const MIME = new Set(["image/jpeg", "image/png", "image/webp", "image/gif"]);

/** The sampled frames' pictures, decoded once for all views. */
export class FrameImages {
  #pictures: (Picture | null)[] = [];
  #generation = 0;

  /** Picture of sampled frame i; null until decoded, or when it cannot be. */
  at(index: number): Picture | null {
    return this.#pictures[index] ?? null;
  }

  get count(): number {
    return this.#pictures.length;
  }

  /** Decodes the frames of an event and calls back when all are there. */
  async load(frames: RunEventOf<"video.frames">["frames"], ready: () => void): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const pictures = await Promise.all(
      frames.map(async ({ mime, base64 }): Promise<Picture | null> => {
        if (!MIME.has(mime)) return null;
        try {
          const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
          const bitmap = await createImageBitmap(new Blob([bytes], { type: mime }));
          return { bitmap, href: `data:${mime};base64,${base64}` };
        } catch {
          // A damaged picture leaves its place empty; the run's numbers do not depend on it.
          return null;
        }
      }),
    );
    if (generation !== this.#generation) return;
    this.#pictures = pictures;
    ready();
  }
}
