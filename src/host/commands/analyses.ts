import { basename } from "node:path";
import * as vscode from "vscode";
import { formatBytes, formatSeconds } from "../../common/format-size.ts";
import type { ExperimentRequest } from "../../protocol/experiments/schemas.ts";
import type { PanelView } from "../../protocol/panel.ts";
import type { PromptItem } from "../../protocol/prompt-item.ts";
import type { AnalysisJob, ClipSource } from "../../protocol/requests.ts";
import type { Experimenter } from "../engine/experimenter.ts";
import { makeJob } from "../engine/jobs.ts";
import type { EngineLink } from "../engine/link.ts";
import type { Models } from "../models/models.ts";
import type { FlowPanels } from "../panel/panels.ts";
import { newRunFile } from "../runs/place.ts";
import type { RunSession } from "../runs/session.ts";
import type { Sessions } from "../runs/sessions.ts";
import { Timeline } from "../runs/timeline.ts";
import { readSettings } from "../settings.ts";
import { confirm } from "../window.ts";

/** Above these a run is worth a question before it starts. */
const LONG_SECONDS = 120;
/** A forecast that takes longer than this is not worth waiting for. */
const FORECAST_MS = 3_000;

/** A question about a clip, ready to be analyzed. */
export interface AnalysisSubject {
  /** A video file or a folder of images; absolute. */
  readonly clip: string;
  readonly prompt: PromptItem;
  readonly order?: ClipSource["order"];
}

/** Starts runs: file, panel, forecast, queue. Remembers the last question of each clip. */
export class Analyses {
  readonly #asked = new Map<string, PromptItem>();
  #last: AnalysisSubject | undefined;

  constructor(
    private readonly parts: {
      readonly models: Models;
      readonly sessions: Sessions;
      readonly panels: FlowPanels;
      readonly experimenter: Experimenter;
      readonly link: EngineLink;
      readonly storage: vscode.Uri;
      /** Takes a line for the log. */
      log(line: string): void;
    },
  ) {}

  /** An analysis is about to come: its engine's process is started while its question is found. */
  expect(): void {
    this.parts.link.start();
  }

  /** What was asked last, of any clip. */
  get last(): AnalysisSubject | undefined {
    return this.#last;
  }

  /** The question that was last asked about a clip. */
  asked(clip: string): PromptItem | undefined {
    return this.#asked.get(clip);
  }

  /**
   * Starts a run in a file of its own and shows it; resolves when the run has ended.
   *
   * @param timeline of a command that was not waiting for the user since it came.
   */
  async start(
    subject: AnalysisSubject,
    experiments: readonly ExperimentRequest[],
    view?: PanelView,
    timeline = new Timeline(),
  ): Promise<void> {
    timeline.reach("question");
    const { clip, prompt, order } = subject;
    this.#asked.set(clip, prompt);
    this.#last = subject;
    const uri = vscode.Uri.file(clip);
    const { frames } = readSettings(uri);
    const model = this.parts.models.chosen(uri);
    const job = makeJob({ model, clip, prompt, frames, order, experiments });
    const label = [prompt.id ?? "", order === undefined ? "" : order].join(" ").trim();
    const file = await newRunFile(clip, label, this.parts.storage);
    const session = this.parts.sessions.create(file, job, timeline);
    this.parts.panels.show(session, view);
    await this.submit(session, job);
    this.parts.log(`${session.title}: ${timeline}`);
  }

  /** Queues a job after its forecast; asks first when it will be large. */
  async submit(session: RunSession, job: AnalysisJob): Promise<void> {
    if (await this.#isFine(job)) {
      await this.parts.experimenter.submit(session, { kind: "analyze", job });
      return;
    }
    session.add({ type: "run.finished", status: "cancelled", message: "not started", seconds: 0 });
  }

  async #isFine(job: AnalysisJob): Promise<boolean> {
    // The small model is done before a forecast would be read.
    if (job.embedded) return true;
    const budget = readSettings().engine.memoryBudgetBytes;
    const forecast = await this.parts.link
      .forecast(job, AbortSignal.timeout(FORECAST_MS))
      .catch(() => null);
    if (forecast === null) return true;
    const { seconds, bytes } = forecast;
    if (seconds <= LONG_SECONDS && bytes <= budget) return true;
    const over = bytes > budget ? `, more than the memory budget of ${formatBytes(budget)}` : "";
    return confirm(
      `Analyzing ${basename(job.clip.path)} will take about ${formatSeconds(seconds)} and ` +
        `${formatBytes(bytes)} of memory${over}.`,
      "Start",
    );
  }
}
