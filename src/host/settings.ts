import * as vscode from "vscode";
import {
  DEFAULT_CLEAN_RUNS_GB,
  DEFAULT_MEMORY_BUDGET_GB,
  type EngineSettings,
  PRECISIONS,
  PROVIDERS,
  type Provider,
} from "../protocol/requests.ts";
import { SETTINGS, SETTINGS_SECTION, type SettingName } from "./ids.ts";

/** The settings, read with their types; a value that does not fit its schema counts as the default. */
export interface Settings {
  /** Folder of the chosen model; empty for the embedded one. */
  readonly model: string;
  readonly modelFolders: readonly string[];
  /** Frames to sample; undefined leaves it to the model. */
  readonly frames: number | undefined;
  readonly engine: EngineSettings;
  /** Whether video features are kept on the disk. */
  readonly keepFeatures: boolean;
  /** Width of a knockout's window, in layers. */
  readonly window: number;
  /** Folder of new runs: relative, absolute, or empty for beside the video. */
  readonly runsFolder: string;
}

const BYTES_PER_GB = 1e9;

/** Reads the settings as they apply to a file (or to the window, without one). */
export function readSettings(scope?: vscode.Uri): Settings {
  const values = vscode.workspace.getConfiguration(SETTINGS_SECTION, scope ?? null);
  const text = (name: SettingName) => values.get(SETTINGS[name], "");
  const number = (name: SettingName, fallback: number, least: number) => {
    const value = values.get<unknown>(SETTINGS[name]);
    return typeof value === "number" && value >= least ? value : fallback;
  };
  const folders = values.get<unknown>(SETTINGS.modelFolders);
  const frames = Math.floor(number("frames", 0, 0));
  return {
    model: text("model"),
    modelFolders: Array.isArray(folders) ? folders.filter((item) => typeof item === "string") : [],
    frames: frames === 0 ? undefined : frames,
    engine: {
      provider: PROVIDERS.find((name) => name === text("provider")) ?? ("auto" satisfies Provider),
      precision: PRECISIONS.find((name) => name === text("precision")) ?? "auto",
      threads: Math.floor(number("threads", 0, 0)),
      memoryBudgetBytes: number("memoryBudget", DEFAULT_MEMORY_BUDGET_GB, 0.25) * BYTES_PER_GB,
      cleanRunBytes: number("cleanRunsSize", DEFAULT_CLEAN_RUNS_GB, 0) * BYTES_PER_GB,
    },
    keepFeatures: values.get<unknown>(SETTINGS.keepFeatures) !== false,
    window: Math.floor(number("window", 9, 1)),
    runsFolder: text("runsFolder"),
  };
}

/** Whether a change of settings touches one of ours. */
export function affects(event: vscode.ConfigurationChangeEvent, name: SettingName): boolean {
  return event.affectsConfiguration(`${SETTINGS_SECTION}.${SETTINGS[name]}`);
}

/**
 * Writes a setting for all windows of this machine; into the workspace where that has a value of its
 * own, which would otherwise stay in force.
 */
export async function writeSetting(name: SettingName, value: unknown): Promise<void> {
  const { Global, Workspace } = vscode.ConfigurationTarget;
  const values = vscode.workspace.getConfiguration(SETTINGS_SECTION);
  const isOwn = values.inspect(SETTINGS[name])?.workspaceValue !== undefined;
  const target = isOwn && vscode.workspace.isTrusted ? Workspace : Global;
  await values.update(SETTINGS[name], value, target);
}
