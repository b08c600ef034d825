/**
 * Every id that the manifest and the code must agree on; a unit test compares this module with
 * package.json in both directions.
 */

/** Publisher and name: how VS Code knows the extension. */
export const EXTENSION_ID = "flowprobe.flowprobe";

/** The commands of the kinds of experiments; each kind's descriptor names one. */
const EXPERIMENT_COMMANDS = {
  knockout: "flowprobe.knockout",
  pathways: "flowprobe.pathways",
  findPathway: "flowprobe.findPathway",
  heads: "flowprobe.heads",
  framePairs: "flowprobe.framePairs",
  keyword: "flowprobe.keyword",
  whatIf: "flowprobe.whatIf",
  exit: "flowprobe.exit",
  generation: "flowprobe.generation",
} as const;
export type ExperimentCommandName = keyof typeof EXPERIMENT_COMMANDS;

export const COMMANDS = {
  analyze: "flowprobe.analyze",
  ask: "flowprobe.ask",
  ...EXPERIMENT_COMMANDS,
  counterfactual: "flowprobe.counterfactual",
  analyzeSample: "flowprobe.analyzeSample",
  /** Behind the CodeLenses: not in the manifest, as nobody calls it by name. */
  analyzeQuestion: "flowprobe.analyzeQuestion",
  /** Behind a quick fix. */
  locateVideo: "flowprobe.locateVideo",
  createPromptFile: "flowprobe.createPromptFile",
  selectModel: "flowprobe.selectModel",
  useModel: "flowprobe.useModel",
  downloadModel: "flowprobe.downloadModel",
  setHubToken: "flowprobe.setHubToken",
  addModelFolder: "flowprobe.addModelFolder",
  removeModelFolder: "flowprobe.removeModelFolder",
  refreshModels: "flowprobe.refreshModels",
  openRun: "flowprobe.openRun",
  renameRun: "flowprobe.renameRun",
  deleteRun: "flowprobe.deleteRun",
  revealRun: "flowprobe.revealRun",
  compareRuns: "flowprobe.compareRuns",
  exportRun: "flowprobe.exportRun",
  refreshRuns: "flowprobe.refreshRuns",
  showLog: "flowprobe.showLog",
  cancel: "flowprobe.cancel",
  restartEngine: "flowprobe.restartEngine",
} as const;
export type CommandName = keyof typeof COMMANDS;

/** Commands that the manifest does not state. */
export const INTERNAL_COMMANDS: readonly CommandName[] = ["analyzeQuestion", "locateVideo"];

export const VIEWS = {
  container: "flowprobe",
  models: "flowprobe.models",
  runs: "flowprobe.runs",
} as const;

/** View type of the flow panel, and of the custom editor that replays a run file in it. */
export const PANEL_TYPE = "flowprobe.panel";
export const RUN_EDITOR_TYPE = "flowprobe.run";

/** View type of the panel that shows runs side by side. */
export const COMPARE_TYPE = "flowprobe.compare";

export const WALKTHROUGH_ID = "flowprobe.start";

/** First part of every setting's id. */
export const SETTINGS_SECTION = "flowprobe";

/** Settings by name: their ids without the section, as `getConfiguration` takes them. */
export const SETTINGS = {
  model: "model",
  modelFolders: "modelFolders",
  frames: "frames",
  provider: "engine.provider",
  precision: "engine.precision",
  threads: "engine.threads",
  memoryBudget: "engine.memoryBudget",
  keepFeatures: "engine.keepFeatures",
  cleanRunsSize: "engine.cleanRunsSize",
  window: "knockout.window",
  runsFolder: "runs.folder",
} as const;
export type SettingName = keyof typeof SETTINGS;

/** Context keys that `when` clauses of the manifest read. */
export const CONTEXTS = {
  /** Some run is queued or running. */
  busy: "flowprobe.busy",
  /** Folders that hold a sequence of images, as an object of paths for the `in` operator. */
  imageFolders: "flowprobe.imageFolders",
} as const;

/** Lower-case file extensions of the clips that the menus offer analysis for. */
export const VIDEO_EXTENSIONS = ["mp4", "mov", "webm", "mkv", "avi", "gif", "m4v"] as const;
