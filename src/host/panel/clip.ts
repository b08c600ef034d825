import { existsSync, realpathSync } from "node:fs";
import { dirname, extname, isAbsolute, relative } from "node:path";
import * as vscode from "vscode";
import { leavesForNetwork } from "../../common/network-path.ts";
import { VIDEO_EXTENSIONS } from "../ids.ts";
import type { RunSession } from "../runs/session.ts";

function isInside(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return path !== "" && !path.startsWith("..") && !isAbsolute(path);
}

/**
 * The clip of a run as a file that its panel may play; null when there is none to play. A run file
 * may come from anywhere, and the clip's folder opens to the panel: so only a video beside the run
 * file, in the workspace, or of a run that was started here.
 */
export function playableClip(session: RunSession): vscode.Uri | null {
  const path = session.startedHere
    ? session.job?.clip.path
    : session.last("run.started")?.video.path;
  if (path === undefined || !isAbsolute(path)) return null;
  if (!session.startedHere && leavesForNetwork(path, session.file)) return null;
  const extension = extname(path).slice(1).toLowerCase();
  if (!VIDEO_EXTENSIONS.some((known) => known === extension) || !existsSync(path)) return null;
  const real = realpathSync(path);
  const folders = (vscode.workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === "file")
    .map(({ uri }) => realpathSync(uri.fsPath));
  const allowed =
    session.startedHere ||
    [...folders, dirname(realpathSync(session.file))].some((folder) => isInside(folder, real));
  return allowed ? vscode.Uri.file(path) : null;
}
