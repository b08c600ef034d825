import { existsSync } from "node:fs";
import { access, constants, mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import * as vscode from "vscode";
import { runFilePath } from "../../runs/names.ts";
import { readSettings } from "../settings.ts";

async function isUsable(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Folder for the runs of a clip: as the setting says, else the extension's own storage. */
async function runFolder(clip: string, storage: vscode.Uri): Promise<string> {
  const uri = vscode.Uri.file(clip);
  const { runsFolder } = readSettings(uri);
  const workspace = vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath;
  if (runsFolder === "" || workspace !== undefined) {
    const folder = resolve(runsFolder === "" ? dirname(clip) : (workspace ?? ""), runsFolder);
    if (await isUsable(folder)) return folder;
  }
  return storage.fsPath;
}

/** Runs that have a name but no file yet: two that start in one second must not share it. */
const promised = new Set<string>();

/** Path of a new run file of a clip, in a folder that exists and can be written. */
export async function newRunFile(
  clip: string,
  label: string,
  storage: vscode.Uri,
): Promise<string> {
  const folder = await runFolder(clip, storage);
  await mkdir(folder, { recursive: true });
  const isTaken = (path: string) => promised.has(path) || existsSync(path);
  const file = runFilePath(folder, clip, label === "" ? undefined : label, new Date(), isTaken);
  promised.add(file);
  return file;
}
