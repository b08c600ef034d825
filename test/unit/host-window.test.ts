import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/bundle.ts";

/** The one module that hands texts to VS Code: it makes them plain. */
const WINDOW = "window.ts";

/** What shows a text in VS Code's own windows, lists and marks. */
const SHOWS =
  /\bshow(?:Error|Warning|Information)Message\b|\bshowQuickPick\b|\bshowInputBox\b|\bcreateQuickPick\b|\bcreateInputBox\b|\bwithProgress\s*<?[^(]*\(\s*\{|\bcreateStatusBarItem\b|\bsetStatusBarMessage\b|\bcreateWebviewPanel\b|\bnew vscode\.(?:TreeItem|MarkdownString|Diagnostic|CodeAction|Hover|InlayHint)\b|\bvscode\.(?:TreeItem|MarkdownString|Diagnostic)\(|\bpanel\.title\s*=|\.tooltip\s*=|\bisTrusted\s*[:=]\s*true/;

function uses(text: string): string[] {
  return text.split("\n").filter((line) => SHOWS.test(line));
}

test("texts reach VS Code through window.ts alone", () => {
  const folder = join(ROOT, "src", "host");
  const files = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".ts") && name !== WINDOW);
  assert.ok(files.length > 40);
  const found = files.flatMap((name) =>
    uses(readFileSync(join(folder, name), "utf8")).map((line) => `${name}: ${line.trim()}`),
  );
  assert.deepEqual(found, []);
});

test("a call past window.ts is found", () => {
  for (const line of [
    "void vscode.window.showErrorMessage(message);",
    "const { showQuickPick } = vscode.window;",
    "const item = new vscode.TreeItem(name);",
    "item.tooltip = name;",
    "const text = new vscode.MarkdownString(name);",
    "return vscode.window.withProgress({ title }, work);",
    "open.panel.title = title;",
  ]) {
    assert.equal(uses(line).length, 1, line);
  }
});
