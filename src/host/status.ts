import * as vscode from "vscode";
import { formatSeconds } from "../common/format-size.ts";
import type { Experimenter } from "./engine/experimenter.ts";
import { COMMANDS, CONTEXTS } from "./ids.ts";
import { StatusItem } from "./window.ts";

/** The status bar item of the engine: there while something runs, a click cancels it. */
export class EngineStatus implements vscode.Disposable {
  readonly #item = new StatusItem("flowprobe.engine", "Flowprobe Engine", COMMANDS.cancel);
  #busy = false;

  update(experimenter: Experimenter): void {
    const { running, waiting } = experimenter;
    const busy = running !== undefined;
    if (busy !== this.#busy) {
      this.#busy = busy;
      void vscode.commands.executeCommand("setContext", CONTEXTS.busy, busy);
    }
    if (running === undefined) {
      this.#item.hide();
      return;
    }
    const { progress, session } = running;
    const share =
      progress === undefined || progress.total <= 0
        ? ""
        : ` ${Math.min(100, Math.round((100 * progress.done) / progress.total))} %`;
    const more = waiting > 0 ? ` (+${waiting})` : "";
    const text = `Flowprobe: ${progress?.phase ?? "starting"}${share}${more}`;
    const left = progress?.secondsLeft;
    const tooltip =
      `${session.title}${left === undefined ? "" : `\nabout ${formatSeconds(left)} left`}` +
      "\nClick to cancel";
    this.#item.show("loading~spin", text, tooltip, `${text}. Activate to cancel.`);
  }

  dispose(): void {
    this.#item.dispose();
  }
}
