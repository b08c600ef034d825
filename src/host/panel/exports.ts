import { readFile } from "node:fs/promises";
import * as vscode from "vscode";
import type { SaveRequest } from "../../protocol/panel.ts";
import { runRecords, runToJson } from "../../runs/exports.ts";
import type { RunSession } from "../runs/session.ts";
import { standaloneHtml } from "./standalone.ts";

const FILTERS: Readonly<Record<string, string>> = {
  png: "PNG image",
  svg: "SVG image",
  csv: "CSV table",
  html: "Web page",
  json: "JSON",
};

/** Asks where to save, beside the run file by default, and writes; null when the dialog is closed. */
async function saveAs(
  session: Pick<RunSession, "file">,
  name: string,
  content: () => Promise<Uint8Array> | Uint8Array,
): Promise<{ saved: string | null }> {
  const extension = name.slice(name.lastIndexOf(".") + 1);
  const target = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.joinPath(vscode.Uri.file(session.file), "..", name),
    filters: { [FILTERS[extension] ?? extension.toUpperCase()]: [extension] },
  });
  if (target === undefined) return { saved: null };
  await vscode.workspace.fs.writeFile(target, await content());
  return { saved: target.fsPath };
}

/** A file name without folders, whatever the panel asked for. */
function bareName(name: string): string {
  return name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, "-").slice(0, 200);
}

/** Saves a chart that the panel drew. */
export function saveExport(session: Pick<RunSession, "file">, request: SaveRequest) {
  const { data } = request;
  return saveAs(session, bareName(request.name), () =>
    typeof data === "string" ? Buffer.from(data, "utf8") : new Uint8Array(data),
  );
}

/** Saves a whole run in another form. */
export function exportRun(
  session: RunSession,
  format: "html" | "json" | "records",
  extensionUri: vscode.Uri,
) {
  const name =
    format === "records" ? `${session.title}-records.json` : `${session.title}.${format}`;
  return saveAs(session, bareName(name), async () => {
    if (format === "html") return Buffer.from(await page(session, extensionUri), "utf8");
    const value = format === "json" ? runToJson(session.events) : runRecords(session.events);
    return Buffer.from(`${JSON.stringify(value, null, 2)}\n`, "utf8");
  });
}

async function page(session: RunSession, extensionUri: vscode.Uri): Promise<string> {
  const asset = (name: string) =>
    readFile(vscode.Uri.joinPath(extensionUri, "dist", name).fsPath, "utf8");
  return standaloneHtml({
    title: session.title,
    events: session.events,
    script: await asset("webview.js"),
    style: await asset("webview.css"),
  });
}
