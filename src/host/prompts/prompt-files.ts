import * as vscode from "vscode";
import type { LoadedQuestion } from "../../prompts/files.ts";
import type { PromptFix, PromptProblem, SourceRange } from "../../prompts/problems.ts";
import { COMMANDS, VIDEO_EXTENSIONS } from "../ids.ts";
import type { Reader } from "../reader/reader.ts";
import { diagnostic as mark, quickFix as titledFix } from "../window.ts";
import { isPromptFile, subjectOf } from "./questions.ts";

/** Typing settles this long before a file is looked at again. */
const SETTLE_MS = 250;
/** Larger JSON files are data of some other kind, not a list of questions. */
const MAX_CHARACTERS = 8_000_000;

/** Our own prompt files, and JSON lists, which may be a benchmark's. */
const SELECTOR: vscode.DocumentSelector = [
  { scheme: "file", pattern: "**/*.vqa.{yaml,yml,json}" },
  { scheme: "file", language: "json" },
];

const LENSES = [
  { title: "$(pulse) Analyze", action: "analyze" },
  { title: "Knockout sweep", action: "knockout" },
  { title: "Pathways", action: "pathways" },
] as const;

interface Checked {
  readonly version: number;
  readonly questions: readonly LoadedQuestion[];
  readonly problems: readonly PromptProblem[];
}

const TOO_LONG = `this file has more than ${MAX_CHARACTERS / 1e6} million characters, too many for a list of questions`;

/** A file that was not looked into, and why. */
function unchecked(why: string): Omit<Checked, "version"> {
  const range = { startLine: 0, startColumn: 0, endLine: 0, endColumn: 1 };
  return {
    questions: [],
    problems: [{ kind: "unparsable", severity: "error", message: why, range }],
  };
}

function toRange({ startLine, startColumn, endLine, endColumn }: SourceRange): vscode.Range {
  return new vscode.Range(startLine, startColumn, endLine, endColumn);
}

/** Whether a JSON file looks like a benchmark's list of questions: cheap, before it is parsed. */
function looksLikeBenchmark(document: vscode.TextDocument): boolean {
  if (document.languageId !== "json") return false;
  const text = document.getText();
  if (text.length > MAX_CHARACTERS) return false;
  return /^\s*\[/.test(text) && /"candidates"\s*:/.test(text) && /"video"\s*:/.test(text);
}

/** What the editor shows in prompt files: underlined mistakes, their fixes, a lens above each question. */
export class PromptFiles
  implements vscode.Disposable, vscode.CodeLensProvider, vscode.CodeActionProvider
{
  readonly #diagnostics = vscode.languages.createDiagnosticCollection("flowprobe");
  readonly #lensesChanged = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.#lensesChanged.event;
  readonly #checked = new Map<string, Promise<Checked>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #disposables: vscode.Disposable[];

  constructor(private readonly reader: Reader) {
    const again = (document: vscode.TextDocument) => this.#later(document);
    const videos = vscode.workspace.createFileSystemWatcher(
      `**/*.{${VIDEO_EXTENSIONS.join(",")}}`,
      false,
      true,
      false,
    );
    const all = () => vscode.workspace.textDocuments.forEach(again);
    this.#disposables = [
      this.#diagnostics,
      this.#lensesChanged,
      videos,
      videos.onDidCreate(all),
      videos.onDidDelete(all),
      vscode.workspace.onDidOpenTextDocument(again),
      vscode.workspace.onDidSaveTextDocument(again),
      vscode.workspace.onDidChangeTextDocument(({ document }) => again(document)),
      vscode.workspace.onDidCloseTextDocument((document) => this.#forget(document)),
      vscode.languages.registerCodeLensProvider(SELECTOR, this),
      vscode.languages.registerCodeActionsProvider(SELECTOR, this, {
        providedCodeActionKinds: [vscode.CodeActionKind.QuickFix],
      }),
    ];
    all();
  }

  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    if (!this.#concerns(document)) return [];
    const { questions } = await this.#check(document);
    return questions
      .filter(({ videoFound }) => videoFound)
      .flatMap((question) => {
        const line = new vscode.Range(question.range.startLine, 0, question.range.startLine, 0);
        return LENSES.map(({ title, action }) => {
          const args = [subjectOf(question), action];
          const command = { title, command: COMMANDS.analyzeQuestion, arguments: args };
          return new vscode.CodeLens(line, command);
        });
      });
  }

  async provideCodeActions(
    document: vscode.TextDocument,
    range: vscode.Range,
  ): Promise<vscode.CodeAction[]> {
    if (!this.#concerns(document)) return [];
    const { problems } = await this.#check(document);
    return problems
      .filter((problem) => toRange(problem.range).intersection(range) !== undefined)
      .flatMap((problem) => {
        if (problem.kind === "video-missing") return [locateVideo(document, problem)];
        return problem.fix === undefined ? [] : [quickFix(document, problem, problem.fix)];
      });
  }

  dispose(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    vscode.Disposable.from(...this.#disposables).dispose();
  }

  #concerns(document: vscode.TextDocument): boolean {
    if (document.uri.scheme !== "file") return false;
    return isPromptFile(document.uri.fsPath) || looksLikeBenchmark(document);
  }

  #check(document: vscode.TextDocument): Promise<Checked> {
    const key = document.uri.toString();
    const known = this.#checked.get(key);
    const { version } = document;
    const check = async (): Promise<Checked> => {
      const before = await known?.catch(() => undefined);
      if (before?.version === version) return before;
      const path = document.uri.fsPath;
      const text = document.getText();
      if (text.length > MAX_CHARACTERS) return { version, ...unchecked(TOO_LONG) };
      try {
        return { version, ...(await this.reader.ask("checkPrompts", path, { path, text })) };
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        return { version, ...unchecked(why) };
      }
    };
    const checked = check();
    this.#checked.set(key, checked);
    return checked;
  }

  #later(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    clearTimeout(this.#timers.get(key));
    this.#timers.set(
      key,
      setTimeout(() => void this.#show(document), SETTLE_MS),
    );
  }

  async #show(document: vscode.TextDocument): Promise<void> {
    this.#timers.delete(document.uri.toString());
    if (document.isClosed) return;
    if (!this.#concerns(document)) {
      this.#diagnostics.delete(document.uri);
      return;
    }
    // Clips may have come or gone without a change of the text.
    this.#checked.delete(document.uri.toString());
    const { problems } = await this.#check(document);
    this.#diagnostics.set(document.uri, problems.map(diagnostic));
    this.#lensesChanged.fire();
  }

  #forget(document: vscode.TextDocument): void {
    this.#diagnostics.delete(document.uri);
    this.#checked.delete(document.uri.toString());
  }
}

function diagnostic({ kind, severity, message, range }: PromptProblem): vscode.Diagnostic {
  return mark(toRange(range), message, severity, kind);
}

function quickFix(
  document: vscode.TextDocument,
  problem: PromptProblem,
  fix: PromptFix,
): vscode.CodeAction {
  const action = titledFix(fix.title);
  action.diagnostics = [diagnostic(problem)];
  action.isPreferred = true;
  action.edit = new vscode.WorkspaceEdit();
  for (const { range, text } of fix.edits) action.edit.replace(document.uri, toRange(range), text);
  return action;
}

function locateVideo(document: vscode.TextDocument, problem: PromptProblem): vscode.CodeAction {
  const action = titledFix("Choose the video…");
  action.diagnostics = [diagnostic(problem)];
  action.command = {
    title: action.title,
    command: COMMANDS.locateVideo,
    arguments: [document.uri, toRange(problem.range)],
  };
  return action;
}
