import { basename } from "node:path";
import * as vscode from "vscode";
import { hubCacheFolder } from "../../hub/settings.ts";
import type { Reader } from "../reader/reader.ts";
import { affects, readSettings, writeSetting } from "../settings.ts";
import type { ListedModel, ModelOrigin } from "./catalog.ts";

/** Name of the model that comes with the extension. */
export const EMBEDDED_NAME = "Embedded model";

/** The model folders this window knows, and the one that analyses use. */
export class Models implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  readonly #disposables: vscode.Disposable[] = [this.#changed];
  #listed: Promise<ListedModel[]> | undefined;
  readonly #embeddedFolder: string;

  constructor(
    extensionUri: vscode.Uri,
    private readonly reader: Reader,
  ) {
    this.#embeddedFolder = vscode.Uri.joinPath(extensionUri, "models", "embedded").fsPath;
    this.#disposables.push(
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (affects(event, "model") || affects(event, "modelFolders")) this.refresh();
      }),
    );
  }

  /** The model that the next run uses. */
  chosen(scope?: vscode.Uri): { readonly folder: string; readonly embedded: boolean } {
    const { model } = readSettings(scope);
    if (model === "" || model === this.#embeddedFolder) {
      return { folder: this.#embeddedFolder, embedded: true };
    }
    return { folder: model, embedded: false };
  }

  /** All known models: the embedded one, the hub cache's, the added ones. Read once, then kept. */
  list(): Promise<ListedModel[]> {
    this.#listed ??= this.#read();
    return this.#listed;
  }

  refresh(): void {
    this.#listed = undefined;
    this.#changed.fire();
  }

  /** Makes a model the one that analyses use, in every window. */
  async use(model: ListedModel): Promise<void> {
    await writeSetting("model", model.origin === "embedded" ? "" : model.folder);
  }

  /** Asks for a folder and lists it from now on; undefined when the dialog was closed. */
  async add(): Promise<ListedModel | undefined> {
    const picked = await vscode.window.showOpenDialog({
      canSelectFiles: false,
      canSelectFolders: true,
      openLabel: "Add Model Folder",
      title: "Folder with config.json, tokenizer.json and *.safetensors",
    });
    const folder = picked?.[0]?.fsPath;
    if (folder === undefined) return undefined;
    const { modelFolders } = readSettings();
    if (!modelFolders.includes(folder))
      await writeSetting("modelFolders", [...modelFolders, folder]);
    return this.describe(basename(folder), folder, "added");
  }

  /** Looks at one model folder. Whatever is wrong with it is part of the answer: never rejects. */
  async describe(name: string, folder: string, origin: ModelOrigin): Promise<ListedModel> {
    try {
      return await this.reader.ask("describeModel", folder, { name, folder, origin });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { name, folder, origin, bytes: 0, support: { ok: false, family: "", why } };
    }
  }

  /** Stops listing an added folder; the folder itself stays. */
  async remove(model: ListedModel): Promise<void> {
    const { modelFolders } = readSettings();
    const rest = modelFolders.filter((folder) => folder !== model.folder);
    await writeSetting("modelFolders", rest);
  }

  dispose(): void {
    vscode.Disposable.from(...this.#disposables).dispose();
  }

  async #read(): Promise<ListedModel[]> {
    const settings = readSettings();
    const cache = hubCacheFolder();
    const cached = await this.reader.ask("cachedModels", cache, { cache }).catch(() => []);
    const seen = new Set([this.#embeddedFolder, ...cached.map(({ folder }) => folder)]);
    const added = [...settings.modelFolders, settings.model].filter((folder) => {
      if (folder === "" || seen.has(folder)) return false;
      seen.add(folder);
      return true;
    });
    const models = [this.describe(EMBEDDED_NAME, this.#embeddedFolder, "embedded")];
    for (const { name, folder } of cached) models.push(this.describe(name, folder, "cache"));
    for (const folder of added) models.push(this.describe(basename(folder), folder, "added"));
    // What can be used comes first; sorting is stable.
    return (await Promise.all(models)).sort((a, b) => Number(b.support.ok) - Number(a.support.ok));
  }
}
