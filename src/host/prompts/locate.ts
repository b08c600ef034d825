import { dirname, relative, sep } from "node:path";
import * as vscode from "vscode";
import { VIDEO_EXTENSIONS } from "../ids.ts";

/** Asks for the video that a prompt file misses and writes its path, relative to the file, there. */
export async function locateVideo(file: vscode.Uri, range: vscode.Range): Promise<void> {
  const opened = await vscode.window.showOpenDialog({
    title: "Video of this question",
    defaultUri: vscode.Uri.joinPath(file, ".."),
    filters: { Videos: [...VIDEO_EXTENSIONS] },
  });
  const video = opened?.[0];
  if (video === undefined) return;
  const path = relative(dirname(file.fsPath), video.fsPath).split(sep).join("/");
  const document = await vscode.workspace.openTextDocument(file);
  const text = document.getText(range);
  const quoted = /^["']/.test(text) || document.languageId === "json" ? JSON.stringify(path) : path;
  const edit = new vscode.WorkspaceEdit();
  edit.replace(file, range, quoted);
  await vscode.workspace.applyEdit(edit);
}
