import { formatBytes, formatSeconds } from "../common/format-size.ts";

/** The connection ended before the content did, or gives too little of it. Worth another try. */
export class CutError extends Error {
  override readonly name = "CutError";
}

/** A body is larger than what it can be, or takes longer than anybody would wait. */
export class BodyLimitError extends Error {
  override readonly name = "BodyLimitError";
}

/** Bounds of a body that is kept in memory. */
export interface BodyLimits {
  /** In bytes, of the content after decompression. */
  readonly mostBytes: number;
  /** For the next bytes, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** For all of it, in milliseconds. */
  readonly totalTimeoutMs: number;
}

/**
 * Reads a body, within bounds: one that falls silent, drips for ever, or swells when decompressed
 * ends in an error that names what was reached.
 *
 * @throws CutError when it falls silent; BodyLimitError when a bound is reached.
 */
export async function readBody(
  response: Response,
  limits: BodyLimits,
): Promise<Buffer<ArrayBuffer>> {
  const body = response.body?.getReader();
  if (body === undefined) return Buffer.alloc(0);
  const end = performance.now() + limits.totalTimeoutMs;
  const parts: Uint8Array[] = [];
  let received = 0;
  try {
    for (;;) {
      const left = Math.max(0, end - performance.now());
      const { done, value } = await within(
        Math.min(limits.idleTimeoutMs, left),
        () => body.read(),
        "no more data arrived",
      ).catch((error: unknown) => {
        // Timers may fire a moment early: which bound was nearer decides, not the clock.
        if (!(error instanceof CutError) || left > limits.idleTimeoutMs) throw error;
        const waited = formatSeconds(limits.totalTimeoutMs / 1000);
        throw new BodyLimitError(`did not end within ${waited} (${formatBytes(received)} arrived)`);
      });
      if (done) return Buffer.concat(parts);
      parts.push(value);
      received += value.length;
      if (received > limits.mostBytes) {
        throw new BodyLimitError(`is larger than ${formatBytes(limits.mostBytes)}`);
      }
    }
  } finally {
    await body.cancel().catch(() => undefined);
  }
}

/** Waits for work, but not for ever. @throws CutError when it takes too long. */
export async function within<T>(
  limit: number,
  work: () => Promise<T>,
  otherwise: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CutError(otherwise)), limit);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
