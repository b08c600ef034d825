import { rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as vscode from "vscode";
import { RUN_FILE_SUFFIX } from "../../runs/file.ts";
import { fileNamePart } from "../../runs/names.ts";
import { RUN_EDITOR_TYPE } from "../ids.ts";
import { exportRun } from "../panel/exports.ts";
import type { FlowPanels } from "../panel/panels.ts";
import type { RunLibrary } from "../runs/library.ts";
import type { RunSession } from "../runs/session.ts";
import type { Sessions } from "../runs/sessions.ts";
import { runTitle } from "../runs/summary.ts";
import type { RunNode } from "../views/runs-view.ts";
import { activeTabFile } from "./clip.ts";

/** Run file of a command's argument: a URI, or a row of the Runs view. */
function fileOf(argument: unknown): vscode.Uri | undefined {
  if (argument instanceof vscode.Uri) return argument;
  const node = argument as Partial<RunNode> | undefined;
  if (node?.kind === "run" && "run" in node && node.run !== undefined) {
    return vscode.Uri.file(node.run.file);
  }
  return undefined;
}

const isRunFile = (uri: vscode.Uri) => uri.path.endsWith(RUN_FILE_SUFFIX);

/** The commands on runs that exist already. */
export class RunCommands {
  constructor(
    private readonly parts: {
      readonly library: RunLibrary;
      readonly sessions: Sessions;
      readonly panels: FlowPanels;
      readonly extensionUri: vscode.Uri;
    },
  ) {}

  async open(argument: unknown): Promise<void> {
    const file = fileOf(argument) ?? (await this.#pick("Run to open"));
    if (file === undefined) return;
    await vscode.commands.executeCommand("vscode.openWith", file, RUN_EDITOR_TYPE);
  }

  async rename(argument: unknown): Promise<void> {
    const file = fileOf(argument);
    if (file === undefined) return;
    const title = runTitle(file.fsPath);
    const typed = await vscode.window.showInputBox({
      title: "Rename run",
      value: title,
      validateInput: (text) => (text.trim() === "" ? "A name is needed" : undefined),
    });
    if (typed === undefined || typed === title) return;
    const target = join(dirname(file.fsPath), fileNamePart(typed) + RUN_FILE_SUFFIX);
    const there = await vscode.workspace.fs.stat(vscode.Uri.file(target)).then(
      () => true,
      () => false,
    );
    if (there) throw new Error(`${basename(target)} exists already`);
    await rename(file.fsPath, target);
    this.parts.library.refresh();
  }

  async delete(argument: unknown): Promise<void> {
    const file = fileOf(argument);
    if (file === undefined) return;
    const answer = await vscode.window.showWarningMessage(
      `Delete the run "${runTitle(file.fsPath)}"?`,
      { modal: true, detail: file.fsPath },
      "Delete",
    );
    if (answer !== "Delete") return;
    await remove(file);
    this.parts.library.refresh();
  }

  async reveal(argument: unknown): Promise<void> {
    const file = fileOf(argument);
    if (file === undefined) return;
    const inside = vscode.workspace.getWorkspaceFolder(file) !== undefined;
    await vscode.commands.executeCommand(inside ? "revealInExplorer" : "revealFileInOS", file);
  }

  async export(argument: unknown): Promise<void> {
    const session = await this.#session(argument, "Run to export");
    if (session === undefined) return;
    const formats = [
      { label: "Web page", description: "the whole panel in one HTML file", format: "html" },
      { label: "JSON", description: "all events as one document", format: "json" },
      { label: "Records", description: "the reference implementation's layout", format: "records" },
    ] as const;
    const picked = await vscode.window.showQuickPick(formats, { title: `Export ${session.title}` });
    if (picked === undefined) return;
    const { saved } = await exportRun(session, picked.format, this.parts.extensionUri);
    if (saved === null) return;
    const answer = await vscode.window.showInformationMessage(`Saved ${basename(saved)}.`, "Open");
    if (answer === "Open")
      await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(saved));
  }

  /** Shows two or more runs side by side. */
  async compare(clicked: unknown, selected: unknown): Promise<void> {
    const several = Array.isArray(selected) ? selected.map(fileOf) : [];
    const chosen = several.filter((uri) => uri !== undefined).filter(isRunFile);
    const files = chosen.length >= 2 ? chosen : await this.#pickSeveral(fileOf(clicked));
    if (files === undefined) return;
    for (const [index, file] of files.entries()) {
      const session = await this.parts.sessions.open(file);
      // Column One and Two are the left and the right half of the window, and so on.
      this.parts.panels.show(session, undefined, index + 1);
    }
  }

  async #session(argument: unknown, what: string): Promise<RunSession | undefined> {
    const clicked = fileOf(argument);
    if (clicked !== undefined) return this.parts.sessions.open(clicked);
    const front = this.parts.panels.active;
    if (front !== undefined) return front;
    const tab = activeTabFile();
    if (tab !== undefined && isRunFile(tab)) return this.parts.sessions.open(tab);
    const file = await this.#pick(what);
    return file === undefined ? undefined : this.parts.sessions.open(file);
  }

  async #items() {
    return (await this.parts.library.list()).map((run) => ({
      label: run.question === "" ? run.title : run.question,
      description: `${basename(run.video)} · ${run.model}`,
      detail: run.title,
      uri: vscode.Uri.file(run.file),
    }));
  }

  async #pick(title: string): Promise<vscode.Uri | undefined> {
    const items = await this.#items();
    if (items.length === 0) throw new Error("there is no run yet; analyze a video first");
    const options = { title, matchOnDescription: true, matchOnDetail: true };
    return (await vscode.window.showQuickPick(items, options))?.uri;
  }

  async #pickSeveral(first: vscode.Uri | undefined): Promise<vscode.Uri[] | undefined> {
    const items = (await this.#items()).map((item) => ({
      ...item,
      picked: item.uri.toString() === first?.toString(),
    }));
    if (items.length < 2) throw new Error("two runs are needed to compare");
    const picked = await vscode.window.showQuickPick(items, {
      title: "Runs to compare",
      canPickMany: true,
      matchOnDetail: true,
    });
    return picked === undefined || picked.length < 2 ? undefined : picked.map(({ uri }) => uri);
  }
}

/** Moves a file to the trash, or deletes it where there is none. */
async function remove(file: vscode.Uri): Promise<void> {
  try {
    await vscode.workspace.fs.delete(file, { useTrash: true });
  } catch {
    await vscode.workspace.fs.delete(file, { useTrash: false });
  }
}
