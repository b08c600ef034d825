import type { EngineClient } from "../../engine/service/client.ts";

/**
 * The engine as the queue sees it: one task at a time, in a process of its own. Events arrive in
 * order before a task settles, and the last of them is `run.finished`, however it ended.
 *
 * Tasks reject with CancelledError after the signal, within a second; EngineDiedError when the process
 * ended by itself; InputError and ModelError for what the user can mend.
 */
export type EngineLink = Pick<
  EngineClient,
  "run" | "experiment" | "observe" | "forecast" | "start" | "restart"
>;
