import * as vscode from "vscode";
import type { RunEvent } from "../../protocol/events.ts";
import type { AnalysisJob } from "../../protocol/requests.ts";
import { runTitle } from "../../runs/names.ts";
import { jobOfRun } from "../engine/jobs.ts";
import type { Reader } from "../reader/reader.ts";
import { RunSession } from "./session.ts";
import type { Timeline } from "./timeline.ts";

/** The runs that some panel shows or the engine works on, one session for each file. */
export class Sessions {
  readonly #open = new Map<string, RunSession>();
  readonly #users = new Map<RunSession, number>();

  constructor(private readonly reader: Reader) {}

  /** A session for a run that is about to begin. */
  create(file: string, job: AnalysisJob, timeline: Timeline): RunSession {
    const id = vscode.Uri.file(file).toString();
    const session = new RunSession(id, file, runTitle(file), job, true, timeline);
    this.#open.set(id, session);
    return session;
  }

  /**
   * The session of a run file: the live one, or one that is read from the disk.
   *
   * @throws InputError when the file is not a run.
   */
  async open(uri: vscode.Uri): Promise<RunSession> {
    const live = this.#open.get(uri.toString());
    if (live !== undefined) return live;
    const file = uri.fsPath;
    const events: RunEvent[] = [];
    const onNote = (batch: readonly RunEvent[]) => {
      for (const event of batch) events.push(event);
    };
    const { problems } = await this.reader.ask("readRun", file, { file }, { onNote });
    // Another panel may have opened it meanwhile.
    const other = this.#open.get(uri.toString());
    if (other !== undefined) return other;
    const started = events.find((event) => event.type === "run.started");
    const job = started === undefined ? null : jobOfRun(started);
    const session = new RunSession(uri.toString(), file, runTitle(file), job, false);
    for (const event of events) session.add(event);
    for (const message of problems) session.add({ type: "notice", level: "warning", message });
    this.#open.set(session.id, session);
    return session;
  }

  /** Keeps a session while something shows it; disposing the result lets go. */
  use(session: RunSession): vscode.Disposable {
    this.#users.set(session, (this.#users.get(session) ?? 0) + 1);
    return new vscode.Disposable(() => {
      const left = (this.#users.get(session) ?? 1) - 1;
      this.#users.set(session, left);
      this.#letGo(session);
    });
  }

  /** Forgets a session that nobody shows and the engine does not work on. */
  #letGo(session: RunSession): void {
    if ((this.#users.get(session) ?? 0) > 0) return;
    if (session.engine.kind === "queued" || session.engine.kind === "running") return;
    this.#users.delete(session);
    if (this.#open.get(session.id) === session) this.#open.delete(session.id);
  }
}
