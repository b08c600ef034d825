import * as vscode from "vscode";
import { CancelledError } from "../../common/errors.ts";
import { EXPERIMENTS } from "../../protocol/experiments/list.ts";
import type { ExperimentKind } from "../../protocol/experiments/schemas.ts";
import type { Experimenter } from "../engine/experimenter.ts";
import { COMMANDS, type CommandName, type ExperimentCommandName } from "../ids.ts";
import type { ListedModel } from "../models/catalog.ts";
import type { Models } from "../models/models.ts";
import { createPromptFile } from "../prompts/create.ts";
import { locateVideo } from "../prompts/locate.ts";
import type { QuestionSource } from "../prompts/questions.ts";
import type { RunLibrary } from "../runs/library.ts";
import { showError } from "../window.ts";
import type { Analyses, AnalysisSubject } from "./analyses.ts";
import type { AnalysisCommands, LensAction } from "./analysis-commands.ts";
import type { ModelDownloads } from "./download-model.ts";
import { selectModel, useModel } from "./model-commands.ts";
import type { RunCommands } from "./run-commands.ts";

export interface CommandParts {
  readonly analysis: AnalysisCommands;
  readonly analyses: Analyses;
  readonly runs: RunCommands;
  readonly models: Models;
  readonly downloads: ModelDownloads;
  readonly library: RunLibrary;
  readonly experimenter: Experimenter;
  readonly questions: QuestionSource;
  readonly extensionUri: vscode.Uri;
  readonly log: vscode.LogOutputChannel;
}

type Handler = (...args: unknown[]) => unknown;

/** The clip and prompt file that come with the extension. */
const SAMPLE = "moving-direction-1.vqa.yaml";

/** Registers every command; forgetting one is a compile error. */
export function registerCommands(parts: CommandParts): vscode.Disposable {
  const { analysis, runs, models, library, experimenter, log } = parts;
  const handlers: Readonly<Record<CommandName, Handler>> = {
    analyze: (clicked) => analysis.analyze(clicked),
    ask: (clicked) => analysis.ask(clicked),
    ...experimentHandlers(analysis),
    counterfactual: (clicked) => analysis.counterfactual(clicked),
    analyzeSample: () => analyzeSample(parts),
    analyzeQuestion: (subject, action) =>
      analysis.question(subject as AnalysisSubject, action as LensAction),
    locateVideo: (file, range) => locateVideo(file as vscode.Uri, range as vscode.Range),
    createPromptFile: () => createPromptFile(parts.analyses.last),
    selectModel: () => selectModel(models),
    useModel: (model) => useModel(models, model as ListedModel),
    downloadModel: () => parts.downloads.download(),
    setHubToken: () => parts.downloads.setToken(),
    addModelFolder: () => models.add(),
    removeModelFolder: (model) => models.remove(model as ListedModel),
    refreshModels: () => models.refresh(),
    openRun: (clicked) => runs.open(clicked),
    renameRun: (clicked) => runs.rename(clicked),
    deleteRun: (clicked) => runs.delete(clicked),
    revealRun: (clicked) => runs.reveal(clicked),
    compareRuns: (clicked, selected) => runs.compare(clicked, selected),
    exportRun: (clicked) => runs.export(clicked),
    refreshRuns: () => library.refresh(),
    showLog: () => log.show(),
    cancel: () => experimenter.cancel(),
    restartEngine: () => experimenter.restart(),
  };
  const registered = Object.entries(handlers).map(([name, handler]) =>
    vscode.commands.registerCommand(COMMANDS[name as CommandName], (...args: unknown[]) =>
      reporting(() => handler(...args), log),
    ),
  );
  return vscode.Disposable.from(...registered);
}

/** A handler for each kind of experiment, under its command. */
function experimentHandlers(analysis: AnalysisCommands) {
  const kinds = Object.keys(EXPERIMENTS) as ExperimentKind[];
  return Object.fromEntries(
    kinds.map((kind) => [
      EXPERIMENTS[kind].commandId,
      (clicked: unknown) => analysis.experiment(kind, clicked),
    ]),
  ) as Record<ExperimentCommandName, Handler>;
}

/** Runs a command; what goes wrong in it becomes one message. */
async function reporting(work: () => unknown, log: vscode.LogOutputChannel): Promise<void> {
  try {
    await work();
  } catch (error) {
    // The user said so.
    if (error instanceof CancelledError) return;
    log.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const message = error instanceof Error ? error.message : String(error);
    void showError(`Flowprobe: ${message}`);
  }
}

async function analyzeSample({ analysis, questions, extensionUri }: CommandParts): Promise<void> {
  const file = vscode.Uri.joinPath(extensionUri, "samples", SAMPLE);
  const [subject] = await questions.inFile(file);
  if (subject === undefined) throw new Error(`${file.fsPath} holds no question`);
  await analysis.question(subject, "analyze");
}
