import { existsSync } from "node:fs";
import { RunWriter } from "../../runs/writer.ts";
import type { EventLog } from "../engine/experimenter.ts";
import type { RunSession } from "./session.ts";

/**
 * Opens a session's run file: a new one, or the one it was read from, to go on writing. One that was
 * moved or deleted meanwhile is written anew, as what follows would be no run by itself.
 *
 * @throws InputError when it cannot be written.
 */
export async function openRunLog(session: RunSession): Promise<EventLog> {
  if (existsSync(session.file)) return RunWriter.append(session.file);
  const writer = await RunWriter.create(session.file);
  for (const event of session.events) writer.append(event);
  return writer;
}
