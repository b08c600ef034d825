import { CancelledError } from "../../common/errors.ts";
import { type FromReader, type ToReader, toReaderError } from "./protocol.ts";
import type { ReaderHandlers, ReaderTaskName } from "./tasks.ts";

/** How often a process that works says that it is not stuck. */
const ALIVE_MS = 1_000;

/**
 * Serves tasks to the process that started this one, until that one is gone.
 *
 * @throws Error when this process was not started by a reader client.
 */
export function serveReader(handlers: ReaderHandlers): void {
  if (process.send === undefined) {
    throw new Error("the reader is started by Flowprobe and answers to it alone");
  }
  const tell = (message: FromReader) =>
    new Promise<void>((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
  const aborts = new Map<number, AbortController>();

  const answer = async ({ id, name, params }: Extract<ToReader, { kind: "task" }>) => {
    const abort = new AbortController();
    aborts.set(id, abort);
    const alive = setInterval(() => void tell({ kind: "alive" }), ALIVE_MS);
    try {
      // The client's types tie a task's name to its parameters; here they are one of many.
      const handler = handlers[name as ReaderTaskName] as (
        params: unknown,
        context: { signal: AbortSignal; note(note: unknown): Promise<void> },
      ) => Promise<unknown>;
      const note = async (note: unknown) => {
        if (abort.signal.aborted) throw new CancelledError();
        await tell({ kind: "note", id, note });
      };
      const result = await handler(params, { signal: abort.signal, note });
      await tell({ kind: "result", id, result });
    } catch (error) {
      await tell({ kind: "error", id, error: toReaderError(error) });
    } finally {
      clearInterval(alive);
      aborts.delete(id);
    }
  };

  process.on("message", (message: ToReader) => {
    if (message.kind === "task") void answer(message);
    else aborts.get(message.id)?.abort();
  });
  process.on("disconnect", () => process.exit());
  process.on("SIGINT", () => {});
}
