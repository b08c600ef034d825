import * as vscode from "vscode";
import { EngineClient } from "../../engine/service/client.ts";
import { featureFolder } from "../../engine/vision-cache/place.ts";
import type { EngineSettings } from "../../protocol/requests.ts";
import { SETTINGS_SECTION } from "../ids.ts";
import { readSettings } from "../settings.ts";

/**
 * The window's engine: its process is started by the first task, configured by the settings, logged.
 *
 * @param storage folder of what is kept for all windows.
 */
export function openWindowEngine(
  log: vscode.LogOutputChannel,
  storage: vscode.Uri,
): { readonly engine: EngineClient } & vscode.Disposable {
  const settings = (): EngineSettings => {
    const { engine, keepFeatures } = readSettings();
    return keepFeatures ? { ...engine, featureFolder: featureFolder(storage.fsPath) } : engine;
  };
  const engine = new EngineClient({ settings: settings(), log: (line) => log.info(line) });
  const changes = vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration(`${SETTINGS_SECTION}.engine`)) engine.configure(settings());
  });
  const dispose = () => {
    changes.dispose();
    void engine.dispose();
  };
  return { engine, dispose };
}
