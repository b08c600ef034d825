import { basename, dirname, join } from "node:path";
import * as vscode from "vscode";
import { MAX_RUNS, MIN_RUNS } from "../../runs/comparison/compare.ts";
import { fileNamePart, RUN_FILE_SUFFIX, runTitle } from "../../runs/names.ts";
import { RUN_EDITOR_TYPE } from "../ids.ts";
import type { ComparePanels } from "../panel/compare-panels.ts";
import { exportRun } from "../panel/exports.ts";
import type { FlowPanels } from "../panel/panels.ts";
import type { RunLibrary } from "../runs/library.ts";
import type { RunSession } from "../runs/session.ts";
import type { Sessions } from "../runs/sessions.ts";
import type { RunNode } from "../views/runs-view.ts";
import { ask, confirm, pick, pickSeveral, showInformation } from "../window.ts";
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
      readonly comparisons: ComparePanels;
      readonly extensionUri: vscode.Uri;
    },
  ) {}

  async open(argument: unknown): Promise<void> {
    const file = await this.#file(argument, "Run to open");
    if (file === undefined) return;
    await vscode.commands.executeCommand("vscode.openWith", file, RUN_EDITOR_TYPE);
  }

  async rename(argument: unknown): Promise<void> {
    const file = await this.#file(argument, "Run to rename");
    if (file === undefined) return;
    const title = runTitle(file.fsPath);
    const typed = await ask({
      title: "Rename run",
      value: title,
      problem: (text) => (text.trim() === "" ? "A name is needed" : undefined),
    });
    if (typed === undefined || typed === title) return;
    const target = join(dirname(file.fsPath), fileNamePart(typed) + RUN_FILE_SUFFIX);
    const there = await vscode.workspace.fs.stat(vscode.Uri.file(target)).then(
      () => true,
      () => false,
    );
    if (there) throw new Error(`${basename(target)} exists already`);
    await this.#requireIdle(file);
    const to = vscode.Uri.file(target);
    // Not by the disk alone: VS Code moves the editors that show the file.
    const edit = new vscode.WorkspaceEdit();
    edit.renameFile(file, to);
    if (!(await vscode.workspace.applyEdit(edit))) {
      throw new Error(`${file.fsPath} could not be renamed to ${basename(target)}`);
    }
    await this.parts.panels.follow(file, to);
    this.parts.library.refresh();
  }

  async delete(argument: unknown): Promise<void> {
    const file = await this.#file(argument, "Run to delete");
    if (file === undefined) return;
    const question = `Delete the run "${runTitle(file.fsPath)}"?`;
    if (!(await confirm(question, "Delete", file.fsPath))) return;
    await this.#requireIdle(file);
    // Into the trash, where there is one; editors that show the file are closed.
    const edit = new vscode.WorkspaceEdit();
    edit.deleteFile(file);
    if (!(await vscode.workspace.applyEdit(edit))) {
      throw new Error(`${file.fsPath} could not be deleted`);
    }
    this.parts.panels.close(file);
    this.parts.library.refresh();
  }

  async reveal(argument: unknown): Promise<void> {
    const file = await this.#file(argument, "Run to reveal");
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
      {
        label: "Records",
        description: "answer by layer and knockout as flat records, JSON",
        format: "records",
      },
    ] as const;
    const picked = await pick(formats, { title: `Export ${session.title}` });
    if (picked === undefined) return;
    const { saved } = await exportRun(session, picked.format, this.parts.extensionUri);
    if (saved === null) return;
    const answer = await showInformation(`Saved ${basename(saved)}.`, "Open");
    if (answer === "Open")
      await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(saved));
  }

  /** Shows runs side by side: those selected, or the clicked one with others that are asked for. */
  async compare(clicked: unknown, selected: unknown): Promise<void> {
    const several = Array.isArray(selected) ? selected.map(fileOf) : [];
    const chosen = several.filter((uri) => uri !== undefined).filter(isRunFile);
    const files =
      chosen.length >= MIN_RUNS
        ? await this.#originalFirst(chosen)
        : await this.#pickSeveral(fileOf(clicked) ?? this.#front());
    if (files !== undefined) await this.parts.comparisons.show(files);
  }

  /** @throws Error while the engine works on a run: it writes its file. */
  async #requireIdle(file: vscode.Uri): Promise<void> {
    const { sessions } = this.parts;
    const session = await sessions.open(file).catch(() => undefined);
    if (session === undefined) return;
    const { kind } = session.engine;
    sessions.use(session).dispose();
    if (kind !== "running" && kind !== "queued") return;
    throw new Error(`${runTitle(file.fsPath)} is still being analyzed: cancel that first`);
  }

  /** The run in front, in a panel or as a file. */
  #front(): vscode.Uri | undefined {
    const { active } = this.parts.panels;
    if (active !== undefined) return vscode.Uri.file(active.file);
    const tab = activeTabFile();
    return tab !== undefined && isRunFile(tab) ? tab : undefined;
  }

  /** Others are compared with the first: a clip as filmed comes before its counterfactuals, old before new. */
  async #originalFirst(files: readonly vscode.Uri[]): Promise<vscode.Uri[]> {
    const known = new Map((await this.parts.library.list()).map((run) => [run.file, run]));
    const rank = ({ fsPath }: vscode.Uri) => {
      const run = known.get(fsPath);
      return `${run?.order === null ? 0 : 1} ${run?.time ?? ""}`;
    };
    return [...files].sort((a, b) => rank(a).localeCompare(rank(b)));
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
      description: [basename(run.video), run.order, run.model]
        .filter((p) => p !== null)
        .join(" · "),
      detail: run.title,
      uri: vscode.Uri.file(run.file),
      video: run.video,
    }));
  }

  /**
   * The run that was clicked, else one that is asked for: from the palette, and where the view was
   * being refreshed and hands over no row.
   */
  async #file(argument: unknown, title: string): Promise<vscode.Uri | undefined> {
    return fileOf(argument) ?? (await this.#pick(title));
  }

  async #pick(title: string): Promise<vscode.Uri | undefined> {
    const items = await this.#items();
    if (items.length === 0) throw new Error("there is no run yet; analyze a video first");
    return (await pick(items, { title, matchAll: true }))?.uri;
  }

  /** Asks which runs to compare; those of the first one's clip come first. */
  async #pickSeveral(first: vscode.Uri | undefined): Promise<vscode.Uri[] | undefined> {
    const all = await this.#items();
    const isFirst = ({ uri }: { readonly uri: vscode.Uri }) => uri.toString() === first?.toString();
    const video = all.find(isFirst)?.video;
    const items = all
      .map((item) => ({ ...item, picked: isFirst(item) }))
      .sort((a, b) => Number(b.picked) - Number(a.picked) || near(b, video) - near(a, video));
    if (items.length < MIN_RUNS) throw new Error("two runs are needed to compare");
    const picked = await pickSeveral(items, {
      title: `Runs to compare (${MIN_RUNS} to ${MAX_RUNS})`,
      placeHolder: "The others are compared with the first",
      matchAll: true,
    });
    if (picked === undefined || picked.length === 0) return undefined;
    return this.#originalFirst(picked.map(({ uri }) => uri));
  }
}

const near = (item: { readonly video: string }, video: string | undefined) =>
  Number(item.video === video);
