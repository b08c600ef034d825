import * as vscode from "vscode";
import type { LoadedQuestion } from "../../prompts/files.ts";
import { PROMPT_FILE_ENDINGS } from "../../prompts/names.ts";
import { questionsAbout } from "../../prompts/select.ts";
import type { AnalysisSubject } from "../commands/analyses.ts";
import type { Reader } from "../reader/reader.ts";

/** A question in a prompt file, where it stands there, and whether its clip is on the disk. */
export interface StatedQuestion {
  readonly subject: AnalysisSubject;
  readonly line: number;
  readonly videoFound: boolean;
}

/** Whether a file's name says that it holds questions. */
export function isPromptFile(path: string): boolean {
  return PROMPT_FILE_ENDINGS.some((ending) => path.endsWith(ending));
}

/** Reads questions from prompt files, as the editor has them when they are open there. */
export class QuestionSource {
  constructor(private readonly reader: Reader) {}

  /** The questions of a prompt file that could be analyzed; none when the file is something else. */
  async inFile(uri: vscode.Uri): Promise<AnalysisSubject[]> {
    if (uri.scheme !== "file" || !isPromptFile(uri.fsPath)) return [];
    const questions = await this.#questionsIn(uri.fsPath);
    return questions.filter(({ videoFound }) => videoFound).map(subjectOf);
  }

  /** Questions about a clip in the prompt file beside it. */
  async besideClip(clip: string): Promise<AnalysisSubject[]> {
    const file = await this.reader.ask("promptFileBeside", clip, { clip });
    if (file === undefined) return [];
    const questions = await this.#questionsIn(file);
    return questionsAbout(questions, clip).map((question) => ({ ...subjectOf(question), clip }));
  }

  async #questionsIn(path: string): Promise<readonly LoadedQuestion[]> {
    const params = { path, text: textInEditor(path) };
    return (await this.reader.ask("checkPrompts", path, params)).questions;
  }
}

/**
 * Text of a file as an editor holds it; undefined where none does. Opening it as a document would ask
 * the window first, which is slow to answer while a panel loads.
 */
function textInEditor(path: string): string | undefined {
  const key = vscode.Uri.file(path).toString();
  const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === key);
  return open?.getText();
}

/** A question as the analysis commands take it. */
export function subjectOf({ item, videoPath }: LoadedQuestion): AnalysisSubject {
  const { video: _, ...prompt } = item;
  return { clip: videoPath, prompt };
}
