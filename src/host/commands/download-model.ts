import type * as vscode from "vscode";
import { CancelledError } from "../../common/errors.ts";
import { formatBytes, formatSeconds } from "../../common/format-size.ts";
import type { CachedModel } from "../../hub/cache.ts";
import type { DownloadProgress } from "../../hub/download.ts";
import { HubError } from "../../hub/failures.ts";
import { repositoryName } from "../../hub/names.ts";
import type { DownloadPlan } from "../../hub/plan.ts";
import { environmentToken, type HubSettings, hubSettings } from "../../hub/settings.ts";
import type { Models } from "../models/models.ts";
import type { Reader } from "../reader/reader.ts";
import type { HubAccess, SearchedModel } from "../reader/tasks.ts";
import {
  ask,
  type PickRow,
  pick,
  searchBox,
  showError,
  showInformation,
  withProgress,
} from "../window.ts";
import { useModel } from "./model-commands.ts";

/** Key of the access token in VS Code's secret storage: the only place it is written to. */
const SECRET = "huggingface.token";
const SET_TOKEN = "Set Hugging Face Token…";
const TOKEN_ADVICE = `the command "Flowprobe: ${SET_TOKEN}", or HF_TOKEN`;

/** A row of the search box: a model's name, and its folder when it is in the cache. */
interface ModelRow extends PickRow {
  /** Empty for a row that only tells something. */
  readonly name: string;
  readonly folder?: string;
}

/** Search for models on the hub, and their download into the Hugging Face cache. */
export class ModelDownloads {
  constructor(
    private readonly models: Models,
    private readonly secrets: vscode.SecretStorage,
    private readonly reader: Reader,
  ) {}

  /** Asks for an access token and keeps it in the secret storage; an empty one removes it. */
  async setToken(): Promise<boolean> {
    const token = await ask({
      title: "Hugging Face access token",
      prompt: "Kept in VS Code's secret storage, sent to the hub alone. Empty: forget it.",
      placeHolder: "hf_…",
      password: true,
      stay: true,
      problem: (text) => (/^\S*$/.test(text.trim()) ? undefined : "A token has no spaces in it"),
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

  async #get(settings: HubSettings, { name, folder }: ModelRow): Promise<void> {
    if (folder !== undefined) return this.#offer(name, folder, "is in the Hugging Face cache");
    try {
      const access = await this.#access(settings);
      const plan = await withProgress(`Flowprobe: looking at ${name}`, (_, signal) =>
        this.reader.ask("planDownload", name, { access, name }, { signal }),
      );
      if (plan.complete) {
        await this.#offer(plan.model.name, plan.folder, "is in the Hugging Face cache");
        return;
      }
      if (!(await confirmed(plan))) return;
      const fetched = await withProgress(`Flowprobe: downloading ${name}`, (tell, signal) => {
        const onNote = (at: DownloadProgress) => {
          const percent = at.total === 0 ? 0 : (100 * at.done) / at.total;
          tell({ message: progressText(at), percent });
        };
        return this.reader.ask("download", name, { access, plan }, { signal, onNote });
      });
      this.models.refresh();
      await this.#offer(plan.model.name, fetched, "has been downloaded");
    } catch (error) {
      if (error instanceof CancelledError) return;
      if (!(error instanceof HubError) || error.trouble !== "access") throw error;
      const answer = await showError(`Flowprobe: ${error.message}`, SET_TOKEN);
      if (answer === SET_TOKEN && (await this.setToken()))
        await this.#get(settings, { label: name, name });
    }
  }

  /** Offers to analyze with a model that is there. */
  async #offer(name: string, folder: string, fact: string): Promise<void> {
    const use = "Use This Model";
    const answer = await showInformation(`${name} ${fact}.`, use);
    if (answer === use) {
      await useModel(this.models, await this.models.describe(name, folder, "cache"));
    }
  }

  async #access(settings: HubSettings): Promise<HubAccess> {
    const token = (await this.secrets.get(SECRET)) ?? (await environmentToken());
    return { settings, token, tokenAdvice: TOKEN_ADVICE };
  }

  /** The search box; undefined when it was closed. */
  async #pick(settings: HubSettings): Promise<ModelRow | undefined> {
    const access = await this.#access(settings);
    const { cache, offline, endpoint } = settings;
    const cached = await this.reader.ask("cachedModels", cache, { cache });
    return searchBox<ModelRow>({
      title: "Flowprobe: download a model from Hugging Face",
      placeHolder: "Words of the model's name, or OWNER/NAME",
      isChoice: ({ name }) => name !== "",
      search: async (text, signal) => {
        try {
          const found = offline
            ? []
            : await this.reader.ask("searchHub", endpoint, { access, text }, { signal });
          return rows(text, settings, cached, found, undefined);
        } catch (error) {
          const trouble = error instanceof Error ? error.message : String(error);
          return rows(text, settings, cached, [], trouble);
        }
      },
    });
  }
}

/** Rows for what was typed: what is in the cache, what was found, and the name itself. */
function rows(
  text: string,
  settings: HubSettings,
  cached: readonly CachedModel[],
  found: readonly SearchedModel[],
  trouble: string | undefined,
): ModelRow[] {
  const words = text.toLowerCase();
  const here = cached
    .filter(({ name }) => name.toLowerCase().includes(words))
    .map(({ name, folder }) => ({
      label: name,
      icon: "check",
      description: "in the cache",
      name,
      folder,
    }));
  const known = new Set(here.map(({ name }) => name));
  const there = found.filter(({ name }) => !known.has(name)).map(foundRow);
  const items: ModelRow[] = [...here, ...there];
  const typed = typedName(text, settings.endpoint);
  if (typed !== undefined && !items.some(({ name }) => name === typed)) {
    items.push({
      label: typed,
      icon: "cloud-download",
      description: "by its name",
      name: typed,
      alwaysShow: true,
    });
  }
  if (trouble !== undefined) {
    items.unshift({
      label: "The hub cannot be searched",
      icon: "error",
      detail: trouble,
      name: "",
      alwaysShow: true,
    });
  } else if (settings.offline) {
    const detail = "HF_HUB_OFFLINE is set: only what is in the cache is listed";
    items.push({ label: "Offline", icon: "info", detail, name: "", alwaysShow: true });
  }
  return items;
}

function foundRow(model: SearchedModel): ModelRow {
  const { name, modelType, bytes, licence, gated, supported } = model;
  const size = bytes === undefined ? "size not stated" : `about ${formatBytes(bytes)}`;
  const family =
    modelType === undefined
      ? "family not stated"
      : `${modelType}${supported ? "" : ", not supported"}`;
  return {
    label: name,
    icon: supported ? "cloud-download" : "circle-slash",
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
    label: "Download",
    icon: "cloud-download",
    description: `${formatBytes(bytes)}${rest}`,
    detail: `${licence} · ${family}, ${layers} layers, supported`,
  };
  const rows: PickRow[] = [go, { label: "Cancel" }];
  const title = `Flowprobe: download ${model.name}?`;
  return (await pick(rows, { title, stay: true })) === go;
}

function progressText({ phase, done, total, secondsLeft }: DownloadProgress): string {
  const left = secondsLeft === undefined ? "" : `, about ${formatSeconds(secondsLeft)} left`;
  return `${phase === "check" ? "checking " : ""}${formatBytes(done)} of ${formatBytes(total)}${left}`;
}
