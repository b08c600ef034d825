import * as vscode from "vscode";
import { Analyses } from "./commands/analyses.ts";
import { AnalysisCommands } from "./commands/analysis-commands.ts";
import { ModelDownloads } from "./commands/download-model.ts";
import { registerCommands } from "./commands/register.ts";
import { RunCommands } from "./commands/run-commands.ts";
import { Consent } from "./engine/consent.ts";
import { Experimenter } from "./engine/experimenter.ts";
import { tellFailure } from "./engine/failures.ts";
import { warmStart } from "./engine/warm-start.ts";
import { openWindowEngine } from "./engine/window-engine.ts";
import { VIEWS } from "./ids.ts";
import { Models } from "./models/models.ts";
import { ComparePanels } from "./panel/compare-panels.ts";
import { FlowPanels } from "./panel/panels.ts";
import { watchImageFolders } from "./prompts/image-folders.ts";
import { PromptFiles } from "./prompts/prompt-files.ts";
import { QuestionSource } from "./prompts/questions.ts";
import { ReaderProcesses } from "./reader/reader.ts";
import { RunLibrary } from "./runs/library.ts";
import { openRunLog } from "./runs/log.ts";
import { Sessions } from "./runs/sessions.ts";
import { EngineStatus } from "./status.ts";
import { ModelsView } from "./views/models-view.ts";
import { RunsView } from "./views/runs-view.ts";
import { confirm } from "./window.ts";

/** Puts the extension together; nothing is opened before it is asked for. */
export function activate(context: vscode.ExtensionContext): void {
  const { extensionUri } = context;
  const storage = vscode.Uri.joinPath(context.storageUri ?? context.globalStorageUri, "runs");
  const log = vscode.window.createOutputChannel("Flowprobe Engine", { log: true });
  const status = new EngineStatus();
  const reader = new ReaderProcesses((line) => log.info(`reader: ${line}`));
  const models = new Models(extensionUri, reader);
  const sessions = new Sessions(reader);
  const library = new RunLibrary(storage, reader);
  const questions = new QuestionSource(reader);
  const windowEngine = openWindowEngine(log, context.globalStorageUri);
  const { engine } = windowEngine;

  const experimenter: Experimenter = new Experimenter(engine, {
    openLog: openRunLog,
    onFailure: (failure) => void tellFailure(failure, experimenter, log),
    onChange: () => {
      status.update(experimenter);
      // Where files cannot be watched, the list of runs would not learn of a new one.
      library.refresh();
    },
  });
  const showLog = () => log.show();
  const tell = (line: string) => log.info(line);
  const consent = new Consent({ isTrusted: () => vscode.workspace.isTrusted, confirm });
  const services = { extensionUri, engine: experimenter, consent, showLog, log: tell };
  const panels = new FlowPanels(sessions, services);
  const comparisons = new ComparePanels(sessions, services);
  const analyses = new Analyses({
    models,
    sessions,
    panels,
    experimenter,
    link: engine,
    storage,
    log: tell,
  });
  const analysis = new AnalysisCommands({
    ...{ analyses, experimenter, consent, models, panels, questions },
  });
  const runs = new RunCommands({ library, sessions, panels, comparisons, extensionUri });

  context.subscriptions.push(
    log,
    status,
    reader,
    models,
    library,
    windowEngine,
    panels.register(),
    comparisons.register(),
    watchImageFolders(),
    warmStart(engine, models, log),
    new PromptFiles(reader),
    vscode.window.registerTreeDataProvider(VIEWS.models, new ModelsView(models)),
    vscode.window.createTreeView(VIEWS.runs, {
      treeDataProvider: new RunsView(library),
      canSelectMany: true,
    }),
    registerCommands({
      analysis,
      analyses,
      runs,
      models,
      downloads: new ModelDownloads(models, context.secrets, reader),
      library,
      experimenter,
      questions,
      extensionUri,
      log,
    }),
  );
}
