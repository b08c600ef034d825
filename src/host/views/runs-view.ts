import { basename } from "node:path";
import * as vscode from "vscode";
import { isGivenTitle } from "../../runs/names.ts";
import { COMMANDS } from "../ids.ts";
import type { RunLibrary } from "../runs/library.ts";
import type { RunSummary } from "../runs/summary.ts";
import { treeItem } from "../window.ts";

/** A row of the Runs view: a video, or one run of it. */
export type RunNode =
  | { readonly kind: "video"; readonly video: string; readonly runs: readonly RunSummary[] }
  | { readonly kind: "run"; readonly run: RunSummary };

const STATUS_ICONS: Readonly<Record<RunSummary["status"], string>> = {
  done: "pass",
  cancelled: "circle-slash",
  failed: "error",
  unfinished: "circle-large-outline",
};

/** The Runs view: videos, and under each its runs, newest first. */
export class RunsView implements vscode.TreeDataProvider<RunNode> {
  readonly onDidChangeTreeData: vscode.Event<void>;

  constructor(private readonly library: RunLibrary) {
    this.onDidChangeTreeData = library.onDidChange;
  }

  async getChildren(node?: RunNode): Promise<RunNode[]> {
    if (node?.kind === "run") return [];
    if (node?.kind === "video") return node.runs.map((run) => ({ kind: "run", run }));
    const byVideo = new Map<string, RunSummary[]>();
    for (const run of await this.library.list()) {
      const runs = byVideo.get(run.video);
      if (runs === undefined) byVideo.set(run.video, [run]);
      else runs.push(run);
    }
    return [...byVideo].map(([video, runs]) => ({ kind: "video", video, runs }));
  }

  getTreeItem(node: RunNode): vscode.TreeItem {
    return node.kind === "video" ? videoItem(node.video, node.runs.length) : runItem(node.run);
  }
}

function videoItem(video: string, runs: number): vscode.TreeItem {
  return treeItem({
    id: `video:${video}`,
    label: basename(video),
    description: runs === 1 ? "1 run" : `${runs} runs`,
    tooltip: video,
    icon: "device-camera-video",
    context: "video",
    expanded: true,
  });
}

function runItem(run: RunSummary): vscode.TreeItem {
  // In a narrow side bar only what comes first is seen: what tells a counterfactual from the clip.
  const order = run.order === null ? "" : `${run.order}: `;
  const isNamed = run.question === "" || isGivenTitle(run.title);
  const label = isNamed ? run.title : order + run.question;
  const description = `${isNamed ? order : ""}${run.model} · ${new Date(run.time).toLocaleString()}`;
  const uri = vscode.Uri.file(run.file);
  return treeItem({
    id: `run:${run.file}`,
    label,
    description,
    tooltip: `${run.title}\n${run.question}\n${run.model}\n${run.status}\n${run.file}`,
    icon: STATUS_ICONS[run.status],
    context: "run",
    command: { command: COMMANDS.openRun, title: "Open Run", arguments: [uri] },
    spoken: `${label}, ${description}, ${run.status}`,
  });
}
