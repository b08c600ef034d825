import { InputError } from "../../common/errors.ts";
import { fileStart, firstEvent } from "../../runs/file.ts";
import { lockRun } from "../../runs/lock.ts";
import { RunWriter } from "../../runs/writer.ts";
import type { EventLog } from "../engine/experimenter.ts";
import type { RunSession } from "./session.ts";

/**
 * Opens a session's run file: a new one, or the one it was read from, to go on writing. One that was
 * moved or deleted meanwhile is written anew, as what follows would be no run by itself. The file is
 * locked until the log is closed; while another program has it, this one waits.
 *
 * @throws InputError when it cannot be written, or holds another run by now; CancelledError when
 *   stopped while waiting.
 */
export async function openRunLog(session: RunSession, signal?: AbortSignal): Promise<EventLog> {
  const say = (message: string, level: "info" | "warning" = "info") =>
    session.add({ type: "notice", level, message });
  const lock = await lockRun(session.file, { signal, onWait: say });
  try {
    const writer = await openWriter(session);
    if (lock.problem !== undefined) say(lock.problem, "warning");
    return {
      append: (event) => writer.append(event),
      close: async () => {
        try {
          await writer.close();
        } finally {
          await lock.release();
        }
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openWriter(session: RunSession): Promise<RunWriter> {
  const { file } = session;
  const start = await fileStart(file);
  if (start === "absent" || start === "unstarted") {
    const writer = await RunWriter.create(file);
    for (const event of session.events) writer.append(event);
    return writer;
  }
  const known = session.events.find(({ type }) => type === "run.started");
  const held = await firstEvent(file);
  const other =
    known?.type === "run.started" && held?.type === "run.started" && known.time !== held.time;
  if (other || (known === undefined && start === "run")) {
    throw new InputError(`${file}: holds another run by now; open it again, or analyze anew`);
  }
  return RunWriter.append(file);
}
