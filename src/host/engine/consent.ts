import { CancelledError } from "../../common/errors.ts";
import type { RunSession } from "../runs/session.ts";

/** How the user is asked. */
export interface ConsentHooks {
  /** Whether the window's folder is trusted. */
  isTrusted(): boolean;
  confirm(message: string, action: string, detail: string): Promise<boolean>;
}

/**
 * A run file says which model and which clip it was made of, and more experiments open both. In a
 * folder that is not trusted the user is asked first, once for each run that was read from a file.
 */
export class Consent {
  readonly #given = new WeakSet<RunSession>();

  constructor(private readonly hooks: ConsentHooks) {}

  /** @throws CancelledError when the user does not agree. */
  async require(session: RunSession): Promise<void> {
    const { job } = session;
    if (session.startedHere || job === null || this.#given.has(session)) return;
    if (this.hooks.isTrusted()) return;
    const agreed = await this.hooks.confirm(
      "This run was read from a file in a folder that you do not trust. Its file says which model " +
        "and which clip are opened for more experiments.",
      "Open Them",
      `Run: ${session.file}\nModel: ${job.model}\nClip: ${job.clip.path}`,
    );
    if (!agreed)
      throw new CancelledError("not started: the model and clip of this run were not opened");
    this.#given.add(session);
  }
}
