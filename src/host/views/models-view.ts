import type * as vscode from "vscode";
import { formatBytes } from "../../common/format-size.ts";
import type { ListedModel } from "../models/catalog.ts";
import type { Models } from "../models/models.ts";
import { treeItem } from "../window.ts";

/** Where a model was found, for its tooltip. */
const ORIGINS: Readonly<Record<ListedModel["origin"], string>> = {
  embedded: "comes with the extension",
  cache: "found in the Hugging Face cache",
  added: "added folder",
};

/** The Models view: one row a model, usable ones first, the one in use checked. */
export class ModelsView implements vscode.TreeDataProvider<ListedModel> {
  readonly onDidChangeTreeData: vscode.Event<void>;

  constructor(private readonly models: Models) {
    this.onDidChangeTreeData = models.onDidChange;
  }

  getChildren(model?: ListedModel): Promise<ListedModel[]> {
    return model === undefined ? this.models.list() : Promise.resolve([]);
  }

  getTreeItem(model: ListedModel): vscode.TreeItem {
    const { support, origin } = model;
    const used = this.models.chosen().folder === model.folder;
    const size = formatBytes(model.bytes);
    const family = support.family === "" ? "unknown family" : support.family;
    const description = support.ok
      ? `${family} · ${size}${used ? " · in use" : ""}`
      : `${family} · ${size} · not supported`;
    return treeItem({
      id: `${origin}:${model.folder}`,
      label: model.name,
      description,
      tooltip: tooltip(model),
      icon: used ? "pass-filled" : support.ok ? "circuit-board" : "circle-slash",
      context: `${support.ok && !used ? "supported" : "idle"} ${origin}`,
      spoken: `${model.name}, ${description}`,
    });
  }
}

function tooltip({ name, folder, origin, support }: ListedModel): string {
  const fact = support.ok
    ? `${support.family}, ${support.layers} layers, ${support.heads} heads`
    : `Not supported: ${support.why}`;
  return `${name} (${ORIGINS[origin]})\n${folder}\n${fact}`;
}
