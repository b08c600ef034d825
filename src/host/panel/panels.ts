import * as vscode from "vscode";
import { InputError } from "../../common/errors.ts";
import type { PanelState, PanelView } from "../../protocol/panel.ts";
import { PANEL_TYPE, RUN_EDITOR_TYPE } from "../ids.ts";
import type { RunSession } from "../runs/session.ts";
import type { Sessions } from "../runs/sessions.ts";
import { newPanel, retitle } from "../window.ts";
import { PanelController, type PanelServices } from "./controller.ts";
import { refusalHtml } from "./refusal.ts";

interface OpenPanel {
  readonly panel: vscode.WebviewPanel;
  controller: PanelController;
  /** Ends the controller and lets go of its run. */
  leave(): void;
}

/** A run file opened in the custom editor. */
interface RunDocument extends vscode.CustomDocument {
  /** The run, or why the file holds none. */
  readonly content: RunSession | Error;
}

/** All flow panels of the window: opened by a command, restored after a reload, or run files' editors. */
export class FlowPanels
  implements vscode.WebviewPanelSerializer, vscode.CustomReadonlyEditorProvider<RunDocument>
{
  readonly #open = new Set<OpenPanel>();

  constructor(
    private readonly sessions: Sessions,
    private readonly services: PanelServices,
  ) {}

  register(): vscode.Disposable {
    return vscode.Disposable.from(
      vscode.window.registerWebviewPanelSerializer(PANEL_TYPE, this),
      vscode.window.registerCustomEditorProvider(RUN_EDITOR_TYPE, this, {
        supportsMultipleEditorsPerDocument: true,
      }),
    );
  }

  /** Run of the panel in front, if one is. */
  get active(): RunSession | undefined {
    return [...this.#open].find(({ panel }) => panel.active)?.controller.session;
  }

  /** The runs that panels show. */
  get shown(): RunSession[] {
    return [...new Set([...this.#open].map(({ controller }) => controller.session))];
  }

  /** Shows a run: in the panel that has it, else in a new one beside what is being looked at. */
  show(session: RunSession, view?: PanelView, column?: vscode.ViewColumn): void {
    const present = [...this.#open].find(({ controller }) => controller.session === session);
    if (present !== undefined) {
      present.panel.reveal(column);
      if (view !== undefined) present.controller.reveal(view);
      return;
    }
    const panel = newPanel(PANEL_TYPE, session.title, column ?? this.#column());
    const controller = this.#attach(panel, session);
    if (view !== undefined) controller.reveal(view);
  }

  /** Goes on showing a run whose file was renamed; VS Code itself follows in run files' editors. */
  async follow(from: vscode.Uri, to: vscode.Uri): Promise<void> {
    const session = await this.sessions.open(to);
    for (const open of this.#panelsOf(from)) {
      open.leave();
      Object.assign(open, this.#fill(open.panel, session));
      retitle(open.panel, session.title);
    }
  }

  /** Closes the panels of a run whose file is gone; VS Code itself closes run files' editors. */
  close(run: vscode.Uri): void {
    for (const { panel } of this.#panelsOf(run)) panel.dispose();
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const run = (state as Partial<PanelState> | null | undefined)?.run;
    try {
      if (typeof run !== "string") throw new Error("the panel had no run");
      this.#attach(panel, await this.sessions.open(vscode.Uri.parse(run, true)));
    } catch {
      // The run file is gone: there is nothing to show, and nobody asked for a message.
      panel.dispose();
    }
  }

  async openCustomDocument(uri: vscode.Uri): Promise<RunDocument> {
    if (uri.scheme !== "file") throw new Error("a run is read from a file on this machine only");
    try {
      const session = await this.sessions.open(uri);
      const use = this.sessions.use(session);
      return { uri, content: session, dispose: () => use.dispose() };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return { uri, content: error, dispose: () => {} };
    }
  }

  resolveCustomEditor({ content }: RunDocument, panel: vscode.WebviewPanel): void {
    if (content instanceof Error) panel.webview.html = refusalHtml(content.message);
    else this.#attach(panel, content);
  }

  #attach(panel: vscode.WebviewPanel, session: RunSession): PanelController {
    const open: OpenPanel = { panel, ...this.#fill(panel, session) };
    this.#open.add(open);
    panel.onDidDispose(() => {
      this.#open.delete(open);
      open.leave();
    });
    return open.controller;
  }

  #fill(panel: vscode.WebviewPanel, session: RunSession): Omit<OpenPanel, "panel"> {
    const controller = new PanelController(panel.webview, session, this.services);
    const use = this.sessions.use(session);
    const leave = () => {
      controller.dispose();
      use.dispose();
    };
    return { controller, leave };
  }

  /** Panels, not editors, that show the run of a file. */
  #panelsOf(run: vscode.Uri): OpenPanel[] {
    const id = run.toString();
    return [...this.#open].filter(
      ({ panel, controller }) => panel.viewType === PANEL_TYPE && controller.session.id === id,
    );
  }

  /** Where a new panel goes: with the other panels, else beside the editor that is open. */
  #column(): vscode.ViewColumn {
    const other = [...this.#open].find(({ panel }) => panel.viewColumn !== undefined);
    if (other?.panel.viewColumn !== undefined) return other.panel.viewColumn;
    const busy = vscode.window.tabGroups.activeTabGroup.activeTab !== undefined;
    return busy ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
  }
}
