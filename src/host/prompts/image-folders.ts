import { dirname } from "node:path";
import * as vscode from "vscode";
import { CONTEXTS } from "../ids.ts";

const PATTERN = "**/*.{png,jpg,jpeg,webp,bmp,PNG,JPG,JPEG,WEBP,BMP}";
/** Enough to find the folders; a data set's hundred thousand frames are not all listed. */
const MAX_IMAGES = 5_000;
/** Fewer images than this are pictures, not a sequence. */
const LEAST = 4;

/**
 * Tells the menus which folders of the workspace hold a sequence of images. New folders are found
 * when the window is opened or images are added.
 */
export function watchImageFolders(): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    clearTimeout(timer);
    // A window without file search has no folder menus; nothing else is lost.
    timer = setTimeout(() => void setImageFolders().catch(() => {}), 1_000);
  };
  const watcher = vscode.workspace.createFileSystemWatcher(PATTERN, false, true, false);
  look();
  return vscode.Disposable.from(
    watcher,
    watcher.onDidCreate(look),
    watcher.onDidDelete(look),
    vscode.workspace.onDidChangeWorkspaceFolders(look),
    new vscode.Disposable(() => clearTimeout(timer)),
  );
}

async function setImageFolders(): Promise<void> {
  const images = await vscode.workspace.findFiles(PATTERN, "**/node_modules/**", MAX_IMAGES);
  const counts = new Map<string, number>();
  for (const { fsPath } of images) {
    const folder = dirname(fsPath);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  const folders = [...counts].filter(([, count]) => count >= LEAST).map(([folder]) => folder);
  await vscode.commands.executeCommand("setContext", CONTEXTS.imageFolders, folders);
}
