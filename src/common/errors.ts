import { cutText } from "./shown.ts";

/** An error of ours: its message may repeat what a file holds, and has a bounded length. */
class BoundedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(cutText(message), options);
  }
}

/** The user's model folder cannot be used: what is wrong, where, and what to do is in the message. */
export class ModelError extends BoundedError {
  override readonly name = "ModelError";
}

/** The user's input (video, prompt, option, output folder) cannot be used: the message says why. */
export class InputError extends BoundedError {
  override readonly name = "InputError";
}

/** The user stopped the work; what was found so far stays. */
export class CancelledError extends Error {
  override readonly name = "CancelledError";
  constructor(message = "cancelled") {
    super(message);
  }
}

/** Throws `CancelledError` once the signal is aborted: called between units of work. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError();
}
