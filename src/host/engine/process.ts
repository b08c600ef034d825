import * as vscode from "vscode";
import type { JobForecast } from "../../engine/engine.ts";
import { EngineClient } from "../../engine/service/client.ts";
import { featureFolder } from "../../engine/vision-cache/place.ts";
import type { EventSink } from "../../protocol/events.ts";
import type { ExperimentRequest, Observations } from "../../protocol/experiments/schemas.ts";
import type { AnalysisJob, EngineSettings } from "../../protocol/requests.ts";
import { SETTINGS_SECTION } from "../ids.ts";
import { readSettings } from "../settings.ts";
import type { EngineLink } from "./link.ts";

/** The window's engine process: started by the first task, configured by the settings, logged. */
export class WindowEngine implements EngineLink, vscode.Disposable {
  readonly #client: EngineClient;
  readonly #disposables: vscode.Disposable[] = [];

  /** @param storage folder of what is kept for all windows. */
  constructor(log: vscode.LogOutputChannel, storage: vscode.Uri) {
    const settings = (): EngineSettings => {
      const { engine, keepFeatures } = readSettings();
      return keepFeatures ? { ...engine, featureFolder: featureFolder(storage.fsPath) } : engine;
    };
    this.#client = new EngineClient({
      settings: settings(),
      log: (line) => log.info(line),
    });
    this.#disposables.push(
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (!event.affectsConfiguration(`${SETTINGS_SECTION}.engine`)) return;
        this.#client.configure(settings());
      }),
    );
  }

  /** Process id of the engine; undefined while none runs. */
  get pid(): number | undefined {
    return this.#client.pid;
  }

  async run(job: AnalysisJob, sink: EventSink, signal: AbortSignal): Promise<void> {
    await this.#client.run(job, sink, signal);
  }

  async experiment(
    request: ExperimentRequest,
    id: string,
    sink: EventSink,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#client.experiment(request, id, sink, signal);
  }

  async observe(observations: Observations, sink: EventSink, signal: AbortSignal): Promise<void> {
    await this.#client.observe(observations, sink, signal);
  }

  forecast(job: AnalysisJob, signal: AbortSignal): Promise<JobForecast> {
    return this.#client.forecast(job, signal);
  }

  start(): void {
    this.#client.start();
  }

  /** Starts the process and opens a model ahead of its first run. */
  async warm(folder: string): Promise<void> {
    await this.#client.warm(folder);
  }

  restart(): void {
    this.#client.restart();
  }

  dispose(): void {
    vscode.Disposable.from(...this.#disposables).dispose();
    void this.#client.dispose();
  }
}
