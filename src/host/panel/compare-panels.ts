import * as vscode from "vscode";
import { MAX_RUNS, MIN_RUNS } from "../../runs/comparison/compare.ts";
import type { CompareState } from "../../runs/comparison/panel-protocol.ts";
import { runTitle, titleWithoutTime } from "../../runs/names.ts";
import { COMPARE_TYPE, RUN_EDITOR_TYPE } from "../ids.ts";
import type { Sessions } from "../runs/sessions.ts";
import { newPanel } from "../window.ts";
import { CompareController, type ComparedFile } from "./compare-controller.ts";
import type { PanelServices } from "./controller.ts";

interface OpenComparison {
  readonly panel: vscode.WebviewPanel;
  /** The runs' URIs as text, sorted. */
  readonly runs: readonly string[];
}

/** All comparisons of the window: opened by the command, or restored after a reload. */
export class ComparePanels implements vscode.WebviewPanelSerializer {
  readonly #open = new Set<OpenComparison>();

  constructor(
    private readonly sessions: Sessions,
    private readonly services: PanelServices,
  ) {}

  register(): vscode.Disposable {
    return vscode.window.registerWebviewPanelSerializer(COMPARE_TYPE, this);
  }

  /**
   * Shows runs side by side; the others are compared with the first.
   *
   * @throws Error when there are too few or too many.
   */
  async show(files: readonly vscode.Uri[]): Promise<void> {
    if (files.length < MIN_RUNS || files.length > MAX_RUNS) {
      throw new Error(
        `${MIN_RUNS} to ${MAX_RUNS} runs can be compared at once; ${files.length} were chosen`,
      );
    }
    const runs = keysOf(files);
    const present = [...this.#open].find((open) => open.runs.join("\n") === runs.join("\n"));
    if (present !== undefined) {
      present.panel.reveal();
      return;
    }
    const titles = files.map(({ fsPath }) => titleWithoutTime(runTitle(fsPath)));
    const title = `Compare ${titles.join(" ↔ ")}`;
    const panel = newPanel(COMPARE_TYPE, title, vscode.ViewColumn.Active);
    await this.#attach(panel, files);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { runs } = (state ?? {}) as Partial<CompareState>;
    const files = Array.isArray(runs)
      ? runs.filter((run) => typeof run === "string").slice(0, MAX_RUNS)
      : [];
    // A comparison that kept nothing has nothing to show, and nobody asked for a message.
    if (files.length < MIN_RUNS) panel.dispose();
    else
      await this.#attach(
        panel,
        files.map((run) => vscode.Uri.parse(run, true)),
      );
  }

  async #attach(panel: vscode.WebviewPanel, files: readonly vscode.Uri[]): Promise<void> {
    const compared = await Promise.all(
      files.map(async (uri): Promise<ComparedFile> => {
        const content = await this.sessions
          .open(uri)
          .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
        return { uri, content };
      }),
    );
    const uses = compared.flatMap(({ content }) =>
      content instanceof Error ? [] : [this.sessions.use(content)],
    );
    const controller = new CompareController(panel.webview, compared, this.services, openRun);
    const open = { panel, runs: keysOf(files) };
    this.#open.add(open);
    panel.onDidDispose(() => {
      this.#open.delete(open);
      controller.dispose();
      for (const use of uses) use.dispose();
    });
  }
}

const keysOf = (files: readonly vscode.Uri[]) => files.map((uri) => uri.toString()).sort();

async function openRun(uri: vscode.Uri): Promise<void> {
  await vscode.commands.executeCommand("vscode.openWith", uri, RUN_EDITOR_TYPE);
}
