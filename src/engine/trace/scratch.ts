/**
 * Working memory that every layer takes anew: buffers by name, which only grow. New arrays would be
 * zeroed first, and pile up until they are collected: on a sweep that cost memory and page faults
 * at every step.
 */
export class Scratch {
  readonly #buffers = new Map<string, Float32Array>();

  /** Values of whatever content, to be overwritten; valid until the name is taken again. */
  take(name: string, length: number): Float32Array {
    const known = this.#buffers.get(name);
    if (known !== undefined && known.length >= length) return known.subarray(0, length);
    const made = new Float32Array(length);
    this.#buffers.set(name, made);
    return made;
  }
}
