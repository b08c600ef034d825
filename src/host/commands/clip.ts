import { statSync } from "node:fs";
import { extname } from "node:path";
import * as vscode from "vscode";
import { VIDEO_EXTENSIONS } from "../ids.ts";
import { pick } from "../window.ts";

/** Whether a path's extension is one of a video's. */
export function isVideo(path: string): boolean {
  const extension = extname(path).slice(1).toLowerCase();
  return VIDEO_EXTENSIONS.some((known) => known === extension);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The file that the active tab shows, whatever editor it is in. */
export function activeTabFile(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom) {
    return input.uri;
  }
  return undefined;
}

/**
 * The clip a command is about: what was clicked, else the video in the active tab, else one that the
 * user picks. Undefined when the user picks none.
 */
export async function clipFor(clicked: unknown): Promise<string | undefined> {
  for (const uri of [clicked, activeTabFile()]) {
    if (!(uri instanceof vscode.Uri)) continue;
    if (uri.scheme !== "file") continue;
    if (isVideo(uri.fsPath) || isFolder(uri.fsPath)) return uri.fsPath;
  }
  return pickClip();
}

async function pickClip(): Promise<string | undefined> {
  const pattern = `**/*.{${VIDEO_EXTENSIONS.join(",")}}`;
  const found = await vscode.workspace.findFiles(pattern, "**/node_modules/**", 500);
  const browse = { label: "Browse…", icon: "folder-opened", uri: undefined };
  const items = found
    .map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }))
    .sort((a, b) => a.label.localeCompare(b.label));
  const picked = await pick([...items, browse], {
    title: "Flowprobe: choose a video",
    placeHolder: "Video to analyze",
  });
  if (picked === undefined) return undefined;
  if (picked.uri !== undefined) return picked.uri.fsPath;
  const opened = await vscode.window.showOpenDialog({
    title: "Video to analyze",
    filters: { Videos: [...VIDEO_EXTENSIONS] },
  });
  return opened?.[0]?.fsPath;
}
