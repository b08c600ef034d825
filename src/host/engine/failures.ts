import type * as vscode from "vscode";
import { showError } from "../window.ts";
import type { Experimenter, TaskFailure } from "./experimenter.ts";

const RESTART = "Restart";
const SHOW_LOG = "Show Log";

/** A dead engine's last output go to the log; the message itself is one line. */
function firstLine(message: string): string {
  return message.split("\n", 1)[0] ?? message;
}

/** Tells the user, once, that a task did not finish, and offers what can be done about it. */
export async function tellFailure(
  { kind, session, message }: TaskFailure,
  experimenter: Experimenter,
  log: vscode.LogOutputChannel,
): Promise<void> {
  log.error(`${session.title}: ${message}`);
  if (kind === "refused") {
    const answer = await showError(`Flowprobe: ${message}`, SHOW_LOG);
    if (answer === SHOW_LOG) log.show();
    return;
  }
  const answer = await showError(
    `Flowprobe, ${session.title}: ${firstLine(message)}`,
    RESTART,
    SHOW_LOG,
  );
  if (answer === SHOW_LOG) log.show();
  if (answer === RESTART) await experimenter.retry(session);
}
