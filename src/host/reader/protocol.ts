import { CancelledError, InputError, ModelError } from "../../common/errors.ts";
import { HubError, type HubTrouble } from "../../hub/failures.ts";

/** Every message between the extension host and a reader process; they travel by structured clone. */
export type ToReader =
  | { readonly kind: "task"; readonly id: number; readonly name: string; readonly params: unknown }
  | { readonly kind: "cancel"; readonly id: number };

export type FromReader =
  /** Sent every second while a task is under way: the process is not stuck. */
  | { readonly kind: "alive" }
  /** Something that a task tells before its end. */
  | { readonly kind: "note"; readonly id: number; readonly note: unknown }
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: ReaderErrorMessage };

/** An error on its way between processes: its class, for those that a user can mend. */
export interface ReaderErrorMessage {
  readonly name: "InputError" | "ModelError" | "CancelledError" | "HubError" | "Error";
  readonly message: string;
  readonly trouble?: HubTrouble;
}

/** Longest message of an error that is passed on: a hostile file can make it very long. */
const MAX_MESSAGE = 20_000;

export function toReaderError(error: unknown): ReaderErrorMessage {
  const message = (error instanceof Error ? error.message : String(error)).slice(0, MAX_MESSAGE);
  if (error instanceof HubError) return { name: "HubError", message, trouble: error.trouble };
  if (error instanceof InputError) return { name: "InputError", message };
  if (error instanceof ModelError) return { name: "ModelError", message };
  if (error instanceof CancelledError) return { name: "CancelledError", message };
  return { name: "Error", message };
}

export function fromReaderError({ name, message, trouble }: ReaderErrorMessage): Error {
  switch (name) {
    case "HubError":
      return new HubError(trouble ?? "damaged", message);
    case "InputError":
      return new InputError(message);
    case "ModelError":
      return new ModelError(message);
    case "CancelledError":
      return new CancelledError(message);
    case "Error":
      return new Error(message);
  }
}
