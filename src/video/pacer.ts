import { setImmediate } from "node:timers/promises";
import { throwIfCancelled } from "../common/errors.ts";

/** Longest stretch of blocking work, in milliseconds, before messages get their turn. */
const STRETCH = 20;

/**
 * Decoding blocks the thread; a cancel message only arrives when the thread rests. Call the
 * returned function between units of work: it rests when a stretch is over, and throws
 * CancelledError once the signal is aborted.
 */
export function pacer(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  throwIfCancelled(signal);
  let since = performance.now();
  const rest = async () => {
    await setImmediate();
    throwIfCancelled(signal);
    since = performance.now();
  };
  return () => (performance.now() - since > STRETCH ? rest() : undefined);
}
