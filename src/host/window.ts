import * as vscode from "vscode";
import { plainLine, plainText } from "../common/plain-text.ts";

/*
 * All that VS Code shows for us as text goes through here: names of files, models and questions come
 * from anywhere, and VS Code makes links and icons of what looks like them. A unit test refuses the
 * same calls elsewhere.
 */

/** An icon of VS Code's own set, by its name. */
type Icon = string;
/** A button; its text is ours. */
type Action = string;

export function showError(message: string, ...actions: Action[]): Promise<Action | undefined> {
  return settle(vscode.window.showErrorMessage(plainText(message), ...actions));
}

export function showInformation(
  message: string,
  ...actions: Action[]
): Promise<Action | undefined> {
  return settle(vscode.window.showInformationMessage(plainText(message), ...actions));
}

/** Asks in a dialog that has to be answered; true when the action was chosen. */
export async function confirm(message: string, action: Action, detail?: string): Promise<boolean> {
  const options = {
    modal: true,
    ...(detail === undefined ? {} : { detail: plainText(detail) }),
  };
  return (await vscode.window.showWarningMessage(plainText(message), options, action)) === action;
}

/** A row to pick. Its icon comes before the label; all texts are shown as they are. */
export interface PickRow {
  readonly label: string;
  readonly icon?: Icon;
  readonly description?: string;
  readonly detail?: string;
  /** Chosen at first, where several may be. */
  readonly picked?: boolean;
  /** Shown whatever is typed. */
  readonly alwaysShow?: boolean;
}

export interface PickOptions {
  readonly title?: string;
  readonly placeHolder?: string;
  /** Typing also looks in descriptions and details. */
  readonly matchAll?: boolean;
  /** Stays open when the window loses the focus. */
  readonly stay?: boolean;
}

/** Lets the user pick a row; undefined when the list was left. */
export async function pick<T extends PickRow>(
  rows: readonly T[],
  options: PickOptions = {},
): Promise<T | undefined> {
  return (await vscode.window.showQuickPick(rows.map(pickItem), pickOptions(options)))?.row;
}

/** Lets the user pick several rows; undefined when the list was left. */
export async function pickSeveral<T extends PickRow>(
  rows: readonly T[],
  options: PickOptions = {},
): Promise<T[] | undefined> {
  const settings = { ...pickOptions(options), canPickMany: true } as const;
  const picked = await vscode.window.showQuickPick(rows.map(pickItem), settings);
  return picked?.map(({ row }) => row);
}

function pickItem<T extends PickRow>(row: T): vscode.QuickPickItem & { readonly row: T } {
  const { label, icon, description, detail, picked, alwaysShow } = row;
  return {
    label: (icon === undefined ? "" : `$(${icon}) `) + plainLine(label),
    ...(description === undefined ? {} : { description: plainLine(description) }),
    ...(detail === undefined ? {} : { detail: plainLine(detail) }),
    ...(picked === undefined ? {} : { picked }),
    ...(alwaysShow === undefined ? {} : { alwaysShow }),
    row,
  };
}

function pickOptions({ title, placeHolder, matchAll, stay }: PickOptions): vscode.QuickPickOptions {
  return {
    ...(title === undefined ? {} : { title: plainLine(title) }),
    ...(placeHolder === undefined ? {} : { placeHolder: plainLine(placeHolder) }),
    ...(matchAll === true ? { matchOnDescription: true, matchOnDetail: true } : {}),
    ...(stay === true ? { ignoreFocusOut: true } : {}),
  };
}

export interface SearchOptions<T extends PickRow> {
  readonly title: string;
  readonly placeHolder: string;
  /** Rows for what was typed; called again as it changes, with the earlier call aborted. Never rejects. */
  search(text: string, signal: AbortSignal): Promise<readonly T[]>;
  /** Whether a row can be chosen, rather than tells something. */
  isChoice(row: T): boolean;
}

/** Typing is not searched letter by letter. */
const TYPING_MS = 350;

/** A box whose rows are searched for as the user types; undefined when it was closed. */
export async function searchBox<T extends PickRow>({
  title,
  placeHolder,
  search,
  isChoice,
}: SearchOptions<T>): Promise<T | undefined> {
  const box = vscode.window.createQuickPick<vscode.QuickPickItem & { readonly row: T }>();
  box.title = plainLine(title);
  box.placeholder = plainLine(placeHolder);
  box.matchOnDescription = true;
  box.matchOnDetail = true;
  let timer: NodeJS.Timeout | undefined;
  let stop = new AbortController();
  const look = async (text: string): Promise<void> => {
    stop.abort();
    stop = new AbortController();
    const { signal } = stop;
    box.busy = true;
    const rows = await search(text, signal);
    if (signal.aborted) return;
    box.busy = false;
    box.items = rows.map(pickItem);
  };
  try {
    return await new Promise<T | undefined>((resolve) => {
      box.onDidChangeValue((text) => {
        clearTimeout(timer);
        timer = setTimeout(() => void look(text), TYPING_MS);
      });
      box.onDidAccept(() => {
        const [item] = box.selectedItems;
        if (item !== undefined && isChoice(item.row)) resolve(item.row);
      });
      box.onDidHide(() => resolve(undefined));
      box.show();
      void look("");
    });
  } finally {
    clearTimeout(timer);
    stop.abort();
    box.dispose();
  }
}

export interface AskOptions {
  readonly title: string;
  readonly prompt?: string;
  readonly placeHolder?: string;
  readonly value?: string;
  readonly password?: boolean;
  /** Stays open when the window loses the focus. */
  readonly stay?: boolean;
  /** What is wrong with what was typed; undefined when nothing is. */
  problem?(text: string): string | undefined;
}

/** Asks for a line of text; undefined when the box was left. */
export function ask(options: AskOptions): Promise<string | undefined> {
  const { title, prompt, placeHolder, value, password, stay, problem } = options;
  return settle(
    vscode.window.showInputBox({
      title: plainLine(title),
      ...(prompt === undefined ? {} : { prompt: plainLine(prompt) }),
      ...(placeHolder === undefined ? {} : { placeHolder: plainLine(placeHolder) }),
      ...(value === undefined ? {} : { value }),
      ...(password === undefined ? {} : { password }),
      ...(stay === true ? { ignoreFocusOut: true } : {}),
      validateInput: (text) => {
        const said = problem?.(text);
        return said === undefined ? undefined : plainLine(said);
      },
    }),
  );
}

/** How far work under a notification is. */
export interface ProgressNote {
  readonly message: string;
  /** Percent done so far. */
  readonly percent?: number;
}

/** Runs work under a notification with a cancel button. */
export async function withProgress<T>(
  title: string,
  work: (tell: (note: ProgressNote) => void, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: plainLine(title),
    cancellable: true,
  };
  return vscode.window.withProgress(options, async (progress, cancellation) => {
    const stop = new AbortController();
    const listener = cancellation.onCancellationRequested(() => stop.abort());
    let before = 0;
    const tell = ({ message, percent = before }: ProgressNote) => {
      const increment = Math.max(0, percent - before);
      progress.report({ message: plainLine(message), increment });
      before += increment;
    };
    try {
      return await work(tell, stop.signal);
    } finally {
      listener.dispose();
    }
  });
}

/** A row of a tree view. */
export interface TreeRow {
  readonly id: string;
  readonly label: string;
  readonly description: string;
  /** May have several lines. */
  readonly tooltip: string;
  readonly icon: Icon;
  readonly context: string;
  /** Open at first; absent for a row without rows below it. */
  readonly expanded?: boolean;
  readonly command?: vscode.Command;
  /** What a screen reader says. */
  readonly spoken?: string;
}

export function treeItem(row: TreeRow): vscode.TreeItem {
  const { None, Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const state = row.expanded === undefined ? None : row.expanded ? Expanded : Collapsed;
  const item = new vscode.TreeItem(plainLine(row.label), state);
  item.id = row.id;
  item.description = plainLine(row.description);
  item.tooltip = plainText(row.tooltip);
  item.iconPath = new vscode.ThemeIcon(row.icon);
  item.contextValue = row.context;
  if (row.command !== undefined) item.command = row.command;
  if (row.spoken !== undefined) item.accessibilityInformation = { label: plainLine(row.spoken) };
  return item;
}

/** The status bar item of the extension; hidden until it shows something. */
export class StatusItem implements vscode.Disposable {
  readonly #item: vscode.StatusBarItem;

  constructor(id: string, name: string, command: string) {
    this.#item = vscode.window.createStatusBarItem(id, vscode.StatusBarAlignment.Left);
    this.#item.name = name;
    this.#item.command = command;
  }

  show(icon: Icon, text: string, tooltip: string, spoken: string): void {
    this.#item.text = `$(${icon}) ${plainLine(text)}`;
    this.#item.tooltip = plainText(tooltip);
    this.#item.accessibilityInformation = { label: plainLine(spoken) };
    this.#item.show();
  }

  hide(): void {
    this.#item.hide();
  }

  dispose(): void {
    this.#item.dispose();
  }
}

/** A mark under a part of a document. */
export function diagnostic(
  range: vscode.Range,
  message: string,
  level: "error" | "warning",
  code: string,
): vscode.Diagnostic {
  const { Error: Wrong, Warning } = vscode.DiagnosticSeverity;
  const mark = new vscode.Diagnostic(
    range,
    plainText(message),
    level === "error" ? Wrong : Warning,
  );
  mark.source = "Flowprobe";
  mark.code = code;
  return mark;
}

/** A quick fix, with its title. */
export function quickFix(title: string): vscode.CodeAction {
  return new vscode.CodeAction(plainLine(title), vscode.CodeActionKind.QuickFix);
}

/** Opens an empty panel with a title. */
export function newPanel(
  type: string,
  title: string,
  column: vscode.ViewColumn,
): vscode.WebviewPanel {
  return vscode.window.createWebviewPanel(type, plainLine(title), column, {});
}

/** Gives a panel another title. */
export function retitle(panel: vscode.WebviewPanel, title: string): void {
  panel.title = plainLine(title);
}

/** VS Code's own promises have no `catch`. */
async function settle<T>(answer: Thenable<T>): Promise<T> {
  return answer;
}
