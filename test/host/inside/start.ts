import assert from "node:assert/strict";
import * as vscode from "vscode";
import { COMMANDS, EXTENSION_ID, PANEL_TYPE, SETTINGS_SECTION } from "../../../src/host/ids.ts";
import type { InsideTest } from "./harness.ts";

/** Tabs that show our panel; VS Code puts a prefix before a webview's type. */
export function panelTabs(): vscode.Tab[] {
  return vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .filter(
      ({ input }) => input instanceof vscode.TabInputWebview && input.viewType.includes(PANEL_TYPE),
    );
}

export const startTests: readonly InsideTest[] = [
  {
    name: "the extension is there and activates without opening anything",
    run: async () => {
      const extension = vscode.extensions.getExtension(EXTENSION_ID);
      assert.ok(extension !== undefined);
      await extension.activate();
      assert.equal(extension.isActive, true);
      assert.deepEqual(panelTabs(), []);
    },
  },
  {
    name: "every command is registered",
    run: async () => {
      const known = new Set(await vscode.commands.getCommands(true));
      for (const id of Object.values(COMMANDS)) assert.ok(known.has(id), id);
    },
  },
  {
    name: "settings have their stated defaults",
    run: async () => {
      const values = vscode.workspace.getConfiguration(SETTINGS_SECTION);
      assert.equal(values.get("model"), "");
      assert.equal(values.get("engine.provider"), "auto");
      assert.equal(values.get("knockout.window"), 9);
      assert.equal(values.get("runs.folder"), "flowprobe-runs");
    },
  },
];
