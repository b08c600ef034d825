import { readdir } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";
import { RUN_FILE_SUFFIX } from "../../runs/names.ts";
import type { Reader } from "../reader/reader.ts";
import type { RunSummary } from "./summary.ts";

/** A running analysis writes often: the list follows at this pace. */
const SETTLE_MS = 500;
const MAX_RUNS = 1000;

/** The run files of the workspace and of the extension's own storage. */
export class RunLibrary implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  readonly #disposables: vscode.Disposable[] = [this.#changed];
  readonly #known = new Map<
    string,
    { readonly stamp: string; readonly summary: RunSummary | null }
  >();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly storage: vscode.Uri,
    private readonly reader: Reader,
  ) {
    const inside = new vscode.RelativePattern(storage, `*${RUN_FILE_SUFFIX}`);
    for (const pattern of [`**/*${RUN_FILE_SUFFIX}`, inside]) {
      const watcher = vscode.workspace.createFileSystemWatcher(pattern);
      watcher.onDidCreate(() => this.refresh());
      watcher.onDidChange(() => this.refresh());
      watcher.onDidDelete(() => this.refresh());
      this.#disposables.push(watcher);
    }
    this.#disposables.push(new vscode.Disposable(() => clearTimeout(this.#timer)));
  }

  refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#changed.fire(), SETTLE_MS);
  }

  /** Summaries of all runs, newest first. */
  async list(): Promise<RunSummary[]> {
    const found = await vscode.workspace.findFiles(
      `**/*${RUN_FILE_SUFFIX}`,
      "**/node_modules/**",
      MAX_RUNS,
    );
    const own = (await readdir(this.storage.fsPath).catch(() => []))
      .filter((name) => name.endsWith(RUN_FILE_SUFFIX))
      .map((name) => join(this.storage.fsPath, name));
    const files = [...new Set([...found.map(({ fsPath }) => fsPath), ...own])];
    const summaries = await Promise.all(files.map((file) => this.#summary(file)));
    return summaries
      .filter((summary) => summary !== null)
      .sort((a, b) => b.time.localeCompare(a.time));
  }

  dispose(): void {
    vscode.Disposable.from(...this.#disposables).dispose();
  }

  /** A file's summary, read again only when the file has changed. */
  async #summary(file: string): Promise<RunSummary | null> {
    const uri = vscode.Uri.file(file);
    const state = await vscode.workspace.fs.stat(uri).then(
      ({ mtime, size }) => `${mtime}:${size}`,
      () => "gone",
    );
    const known = this.#known.get(file);
    if (known?.stamp === state) return known.summary;
    // A list of runs leaves out what cannot be read.
    const summary = await this.reader.ask("summarizeRun", file, { file }).catch(() => null);
    this.#known.set(file, { stamp: state, summary });
    return summary;
  }
}
