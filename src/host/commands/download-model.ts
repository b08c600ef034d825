import * as vscode from "vscode";
import { CancelledError } from "../../common/errors.ts";
import { formatBytes, formatSeconds } from "../../common/format-size.ts";
import { MODEL_TYPES } from "../../engine/families/registry.ts";
import { type CachedModel, cachedModels } from "../../hub/cache.ts";
import { type FoundModel, HubClient } from "../../hub/client.ts";
import { type DownloadProgress, download } from "../../hub/download.ts";
import { HubError } from "../../hub/failures.ts";
import { repositoryName } from "../../hub/names.ts";
import { type DownloadPlan, planDownload } from "../../hub/plan.ts";
import { HubRequests } from "../../hub/requests.ts";
import { environmentToken, type HubSettings, hubSettings } from "../../hub/settings.ts";
import { describeModel } from "../models/catalog.ts";
import type { Models } from "../models/models.ts";
import { useModel } from "./model-commands.ts";

/** Key of the access token in VS Code's secret storage: the only place it is written to. */
const SECRET = "huggingface.token";
const SET_TOKEN = "Set Hugging Face Token…";
const TOKEN_ADVICE = `the command "Flowprobe: ${SET_TOKEN}", or HF_TOKEN`;
/** Typing is not searched letter by letter. */
const TYPING_MS = 350;

/** A row of the search box: a model's name, and its folder when it is in the cache. */
interface ModelItem extends vscode.QuickPickItem {
  readonly name: string;
  readonly folder?: string;
}

/** Search for models on the hub, and their download into the Hugging Face cache. */
export class ModelDownloads {
  constructor(
    private readonly models: Models,
    private readonly secrets: vscode.SecretStorage,
  ) {}

  /** Asks for an access token and keeps it in the secret storage; an empty one removes it. */
  async setToken(): Promise<boolean> {
    const token = await vscode.window.showInputBox({
      title: "Hugging Face access token",
      prompt: "Kept in VS Code's secret storage, sent to the hub alone. Empty: forget it.",
      placeHolder: "hf_…",
      password: true,
      ignoreFocusOut: true,
      validateInput: (text) =>
        /^\S*$/.test(text.trim()) ? undefined : "A token has no spaces in it",
    });
    if (token === undefined) return false;
    if (token.trim() === "") await this.secrets.delete(SECRET);
    else await this.secrets.store(SECRET, token.trim());
    return true;
  }

  /** Asks for a model, shows its size and licence, and downloads it once that is confirmed. */
  async download(): Promise<void> {
    const settings = hubSettings();
    const picked = await this.#pick(settings);
    if (picked !== undefined) await this.#get(settings, picked);
  }

  async #get(settings: HubSettings, { name, folder }: ModelItem): Promise<void> {
    if (folder !== undefined) return this.#offer(name, folder, "is in the Hugging Face cache");
    try {
      const client = await this.#client(settings);
      const plan = await withProgress(`looking at ${name}`, (_, signal) =>
        planDownload(client, name, "main", signal),
      );
      if (plan.complete) {
        await this.#offer(plan.model.name, plan.folder, "is in the Hugging Face cache");
        return;
      }
      if (!(await confirmed(plan))) return;
      const fetched = await withProgress(`downloading ${name}`, (report, signal) => {
        let before = 0;
        return download(
          client,
          plan,
          (at) => {
            const percent = at.total === 0 ? 0 : (100 * at.done) / at.total;
            report.report({ message: progressText(at), increment: Math.max(0, percent - before) });
            before = Math.max(before, percent);
          },
          signal,
        );
      });
      this.models.refresh();
      await this.#offer(plan.model.name, fetched, "has been downloaded");
    } catch (error) {
      if (error instanceof CancelledError) return;
      if (!(error instanceof HubError) || error.trouble !== "access") throw error;
      const answer = await vscode.window.showErrorMessage(`Flowprobe: ${error.message}`, SET_TOKEN);
      if (answer === SET_TOKEN && (await this.setToken()))
        await this.#get(settings, { label: name, name });
    }
  }

  /** Offers to analyze with a model that is there. */
  async #offer(name: string, folder: string, fact: string): Promise<void> {
    const use = "Use This Model";
    const answer = await vscode.window.showInformationMessage(`${name} ${fact}.`, use);
    if (answer === use) await useModel(this.models, await describeModel(name, folder, "cache"));
  }

  async #client(settings: HubSettings): Promise<HubClient> {
    const token = (await this.secrets.get(SECRET)) ?? (await environmentToken());
    return new HubClient(new HubRequests(settings, { token, tokenAdvice: TOKEN_ADVICE }));
  }

  /** The search box; undefined when it was closed. */
  async #pick(settings: HubSettings): Promise<ModelItem | undefined> {
    const client = await this.#client(settings);
    const cached = await cachedModels(settings.cache);
    const box = vscode.window.createQuickPick<ModelItem>();
    box.title = "Flowprobe: download a model from Hugging Face";
    box.placeholder = "Words of the model's name, or OWNER/NAME";
    box.matchOnDescription = true;
    box.matchOnDetail = true;
    let timer: NodeJS.Timeout | undefined;
    let stop = new AbortController();
    const search = async (text: string): Promise<void> => {
      stop.abort();
      stop = new AbortController();
      const { signal } = stop;
      box.busy = true;
      let found: FoundModel[] = [];
      let trouble: string | undefined;
      try {
        found = settings.offline ? [] : await client.search(text, signal);
      } catch (error) {
        trouble = error instanceof Error ? error.message : String(error);
      }
      if (signal.aborted) return;
      box.busy = false;
      box.items = rows(text, settings, cached, found, trouble);
    };
    try {
      return await new Promise<ModelItem | undefined>((resolve) => {
        box.onDidChangeValue((text) => {
          clearTimeout(timer);
          timer = setTimeout(() => void search(text), TYPING_MS);
        });
        box.onDidAccept(() => {
          const [item] = box.selectedItems;
          if (item !== undefined && item.name !== "") resolve(item);
        });
        box.onDidHide(() => resolve(undefined));
        box.show();
        void search("");
      });
    } finally {
      clearTimeout(timer);
      stop.abort();
      box.dispose();
    }
  }
}

/** Rows for what was typed: what is in the cache, what was found, and the name itself. */
function rows(
  text: string,
  settings: HubSettings,
  cached: readonly CachedModel[],
  found: readonly FoundModel[],
  trouble: string | undefined,
): ModelItem[] {
  const words = text.toLowerCase();
  const here = cached
    .filter(({ name }) => name.toLowerCase().includes(words))
    .map(({ name, folder }) => ({
      label: `$(check) ${name}`,
      description: "in the cache",
      name,
      folder,
    }));
  const known = new Set(here.map(({ name }) => name));
  const there = found.filter(({ name }) => !known.has(name)).map(foundRow);
  const items: ModelItem[] = [...here, ...there];
  const typed = typedName(text, settings.endpoint);
  if (typed !== undefined && !items.some(({ name }) => name === typed)) {
    items.push({
      label: `$(cloud-download) ${typed}`,
      description: "by its name",
      name: typed,
      alwaysShow: true,
    });
  }
  if (trouble !== undefined) {
    items.unshift({
      label: "$(error) The hub cannot be searched",
      detail: trouble,
      name: "",
      alwaysShow: true,
    });
  } else if (settings.offline) {
    const detail = "HF_HUB_OFFLINE is set: only what is in the cache is listed";
    items.push({ label: "$(info) Offline", detail, name: "", alwaysShow: true });
  }
  return items;
}

function foundRow({ name, modelType, bytes, licence, gated }: FoundModel): ModelItem {
  const supported = modelType !== undefined && MODEL_TYPES.includes(modelType);
  const size = bytes === undefined ? "size not stated" : `about ${formatBytes(bytes)}`;
  const family =
    modelType === undefined
      ? "family not stated"
      : `${modelType}${supported ? "" : ", not supported"}`;
  return {
    label: `${supported ? "$(cloud-download)" : "$(circle-slash)"} ${name}`,
    description: size,
    detail: `${family} · licence ${licence ?? "not stated"}${gated ? " · gated" : ""}`,
    name,
  };
}

function typedName(text: string, endpoint: string): string | undefined {
  if (!text.includes("/")) return undefined;
  try {
    return repositoryName(text, endpoint);
  } catch {
    return undefined;
  }
}

/** Shows what would be downloaded; whether that is wanted. */
async function confirmed({
  model,
  family,
  layers,
  bytes,
  missingBytes,
}: DownloadPlan): Promise<boolean> {
  const there = bytes - missingBytes;
  const rest = there === 0 ? "" : ` (${formatBytes(there)} of it are in the cache)`;
  const licence = `licence ${model.licence ?? "not stated"}${model.gated ? ", gated" : ""}`;
  const go = {
    label: "$(cloud-download) Download",
    description: `${formatBytes(bytes)}${rest}`,
    detail: `${licence} · ${family}, ${layers} layers, supported`,
  };
  const answer = await vscode.window.showQuickPick([go, { label: "Cancel" }], {
    title: `Flowprobe: download ${model.name}?`,
    ignoreFocusOut: true,
  });
  return answer === go;
}

function progressText({ phase, done, total, secondsLeft }: DownloadProgress): string {
  const left = secondsLeft === undefined ? "" : `, about ${formatSeconds(secondsLeft)} left`;
  return `${phase === "check" ? "checking " : ""}${formatBytes(done)} of ${formatBytes(total)}${left}`;
}

/** Runs work under a notification with a cancel button. */
async function withProgress<T>(
  title: string,
  work: (
    report: vscode.Progress<{ message?: string; increment?: number }>,
    signal: AbortSignal,
  ) => Promise<T>,
): Promise<T> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: `Flowprobe: ${title}`,
    cancellable: true,
  };
  return vscode.window.withProgress(options, async (report, cancellation) => {
    const stop = new AbortController();
    const listener = cancellation.onCancellationRequested(() => stop.abort());
    try {
      return await work(report, stop.signal);
    } finally {
      listener.dispose();
    }
  });
}
