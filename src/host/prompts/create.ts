import { basename, dirname, extname, join } from "node:path";
import * as vscode from "vscode";
import { writePromptFile } from "../../prompts/write.ts";
import type { AnalysisSubject } from "../commands/analyses.ts";

/**
 * Writes the question that was asked last into a new prompt file, beside its clip by default, and
 * opens it.
 *
 * @throws Error when nothing was asked yet; InputError when the file exists or cannot be written.
 */
export async function createPromptFile(subject: AnalysisSubject | undefined): Promise<void> {
  if (subject === undefined) throw new Error("no question was asked yet in this window");
  const { clip, prompt } = subject;
  const name = `${basename(clip, extname(clip))}.vqa.yaml`;
  const target = await vscode.window.showSaveDialog({
    title: "Create prompt file",
    defaultUri: vscode.Uri.file(join(dirname(clip), name)),
    // The last part alone is the extension: more would be put after a name that has it already.
    filters: { "Prompt file": ["yaml"] },
  });
  if (target === undefined) return;
  await writePromptFile(target.fsPath, clip, [prompt]);
  await vscode.window.showTextDocument(target);
}
