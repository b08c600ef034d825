import assert from "node:assert/strict";
import * as vscode from "vscode";
import { COMMANDS } from "../../../src/host/ids.ts";
import { type InsideTest, until } from "./harness.ts";

/** Folder that the window has open. */
export function workspaceFolder(): vscode.Uri {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  assert.ok(folder !== undefined, "a folder is open");
  return folder;
}

async function openNew(name: string, text: string): Promise<vscode.TextDocument> {
  const uri = vscode.Uri.joinPath(workspaceFolder(), name);
  await vscode.workspace.fs.writeFile(uri, Buffer.from(text, "utf8"));
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.window.showTextDocument(document);
  return document;
}

/** Our diagnostics of a document, once there are as many as expected. */
function diagnostics(document: vscode.TextDocument, count: number) {
  return until(
    `${count} diagnostics of ${document.uri.path}`,
    () => {
      const ours = vscode.languages
        .getDiagnostics(document.uri)
        .filter(({ source }) => source === "Flowprobe");
      return ours.length === count ? ours : undefined;
    },
    30_000,
  );
}

function lenses(document: vscode.TextDocument): Thenable<vscode.CodeLens[]> {
  return vscode.commands.executeCommand<vscode.CodeLens[]>(
    "vscode.executeCodeLensProvider",
    document.uri,
  );
}

const BROKEN = `video: moving-direction-1.mp4
questions:
  - id: a
    question: "In which direction does the purple circle move?"
    options: ["Left", "Down", "Right", "Up"]
    answer: "Upp"
  - id: b
    question: "What happens?"
    start: 2
    end: 1
`;

const BENCHMARK = JSON.stringify(
  [
    {
      video: "moving-direction-1.mp4",
      question: "Which way?",
      candidates: ["Left", "Up"],
      answer: "Up",
    },
  ],
  null,
  2,
);

export const promptFileTests: readonly InsideTest[] = [
  {
    name: "a wrong answer and a bad time range are underlined where they stand",
    run: async () => {
      const document = await openNew("broken.vqa.yaml", BROKEN);
      const found = await diagnostics(document, 2);
      const codes = found.map(({ code }) => String(code)).sort();
      assert.deepEqual(codes, ["answer-not-an-option", "bad-time-range"]);
      const wrong = found.find(({ code }) => code === "answer-not-an-option");
      assert.equal(document.getText(wrong?.range), '"Upp"');
    },
  },
  {
    name: "the quick fix mends the answer, and the underline goes",
    run: async () => {
      const uri = vscode.Uri.joinPath(workspaceFolder(), "broken.vqa.yaml");
      const document = await vscode.workspace.openTextDocument(uri);
      const wrong = (await diagnostics(document, 2)).find(
        ({ code }) => code === "answer-not-an-option",
      );
      assert.ok(wrong !== undefined);
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        "vscode.executeCodeActionProvider",
        uri,
        wrong.range,
        vscode.CodeActionKind.QuickFix.value,
      );
      const fix = actions.find(({ edit }) => edit !== undefined);
      assert.ok(fix?.edit !== undefined, actions.map(({ title }) => title).join());
      assert.ok(await vscode.workspace.applyEdit(fix.edit));
      assert.match(document.getText(), /answer: "Up"\n/);
      await diagnostics(document, 1);
    },
  },
  {
    name: "a missing video is underlined and can be chosen; it goes when the video comes",
    run: async () => {
      const document = await openNew(
        "missing.vqa.yaml",
        'video: not-there.mp4\nquestions:\n  - question: "What happens?"\n',
      );
      const [missing] = await diagnostics(document, 1);
      assert.equal(missing?.code, "video-missing");
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        "vscode.executeCodeActionProvider",
        document.uri,
        missing.range,
      );
      assert.ok(actions.some(({ command }) => command?.command === COMMANDS.locateVideo));
      assert.deepEqual(await lenses(document), []);
      const folder = workspaceFolder();
      await vscode.workspace.fs.copy(
        vscode.Uri.joinPath(folder, "moving-direction-1.mp4"),
        vscode.Uri.joinPath(folder, "not-there.mp4"),
      );
      await diagnostics(document, 0);
    },
  },
  {
    name: "three lenses stand above each question of a prompt file",
    run: async () => {
      const uri = vscode.Uri.joinPath(workspaceFolder(), "moving-direction-1.vqa.yaml");
      const document = await vscode.workspace.openTextDocument(uri);
      const found = await lenses(document);
      assert.equal(found.length, 6);
      assert.deepEqual(
        found.slice(0, 3).map(({ command }) => command?.title.replace(/^\$\(\w+\) /, "")),
        ["Analyze", "Knockout sweep", "Pathways"],
      );
      for (const { range } of found) {
        assert.match(document.lineAt(range.start.line).text, /^ {2}- id: /);
      }
      assert.deepEqual(await diagnostics(document, 0), []);
    },
  },
  {
    name: "a benchmark's list has lenses as it is, and other JSON files have none",
    run: async () => {
      const list = await openNew("action_antonym.json", BENCHMARK);
      assert.equal((await lenses(list)).length, 3);
      const other = await openNew("other.json", '{"video": 1, "list": []}');
      assert.deepEqual(await lenses(other), []);
      assert.deepEqual(await diagnostics(other, 0), []);
    },
  },
];
