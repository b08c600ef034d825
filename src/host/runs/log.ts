import { existsSync } from "node:fs";
import { RunWriter } from "../../runs/writer.ts";
import type { EventLog } from "../engine/experimenter.ts";
import type { RunSession } from "./session.ts";

/**
 * Opens a session's run file: a new one, or the one it was read from, to go on writing.
 *
 * @throws InputError when it cannot be written.
 */
export function openRunLog(session: RunSession): Promise<EventLog> {
  return existsSync(session.file) ? RunWriter.append(session.file) : RunWriter.create(session.file);
}
