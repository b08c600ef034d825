import * as vscode from "vscode";
import { descriptorOf } from "../../protocol/experiments/list.ts";
import type { ExperimentKind } from "../../protocol/experiments/schemas.ts";
import type { PromptItem } from "../../protocol/prompt-item.ts";
import type { ClipSource } from "../../protocol/requests.ts";
import type { Consent } from "../engine/consent.ts";
import type { Experimenter } from "../engine/experimenter.ts";
import { paperPathways, paperSweep } from "../engine/jobs.ts";
import type { Models } from "../models/models.ts";
import type { FlowPanels } from "../panel/panels.ts";
import type { QuestionSource } from "../prompts/questions.ts";
import type { RunSession } from "../runs/session.ts";
import { Timeline } from "../runs/timeline.ts";
import { readSettings } from "../settings.ts";
import { ask, pick } from "../window.ts";
import type { Analyses, AnalysisSubject } from "./analyses.ts";
import { askQuestion } from "./ask.ts";
import { activeTabFile, clipFor } from "./clip.ts";
import { askParameters } from "./parameters.ts";

const ORDERS: readonly { readonly label: string; readonly order: ClipSource["order"] }[] = [
  { label: "Reversed", order: "reversed" },
  { label: "Shuffled", order: "shuffled" },
  { label: "Frozen (one frame repeated)", order: "frozen" },
];

/** What a CodeLens asks for. */
export type LensAction = "analyze" | "knockout" | "pathways";

/** The commands that start an analysis or add an experiment to one. */
export class AnalysisCommands {
  constructor(
    private readonly parts: {
      readonly analyses: Analyses;
      readonly experimenter: Experimenter;
      readonly consent: Consent;
      readonly models: Models;
      readonly panels: FlowPanels;
      readonly questions: QuestionSource;
    },
  ) {}

  /** Analyzes a clip with its known question, or asks for one. */
  async analyze(clicked: unknown): Promise<void> {
    const timeline = new Timeline();
    this.parts.analyses.expect();
    const subject = await this.#subjectOf(clicked);
    if (subject !== undefined) await this.#start(subject, timeline);
  }

  /** Asks a new question about a clip and analyzes it. */
  async ask(clicked: unknown): Promise<void> {
    const clip = await clipFor(clicked);
    if (clip === undefined) return;
    const prompt = await askQuestion(clip, this.parts.analyses.asked(clip));
    if (prompt !== undefined) await this.#start({ clip, prompt });
  }

  /** Analyzes a counterfactual clip made of the same sampled frames. */
  async counterfactual(clicked: unknown): Promise<void> {
    const subject = await this.#subjectOf(clicked);
    if (subject === undefined) return;
    const picked = await pick(ORDERS, {
      title: "Analyze a counterfactual clip",
      placeHolder: "Order of the sampled frames",
    });
    if (picked !== undefined) await this.#start({ ...subject, order: picked.order });
  }

  /** Runs one kind of experiment: on the run in front, else on a clip and its question. */
  async experiment(kind: ExperimentKind, clicked: unknown): Promise<void> {
    const front = clicked === undefined ? this.parts.panels.active : undefined;
    if (front?.job != null) {
      const layers = front.last("run.started")?.model.layers;
      if (layers !== undefined) return this.#add(front, front.job.prompt, layers, kind);
    }
    const subject = await this.#subjectOf(clicked);
    if (subject === undefined) return;
    const layers = await this.#layers();
    if (layers === undefined) return;
    const prompt = await withKeywords(kind, subject.prompt);
    if (prompt === undefined) return;
    const { window } = readSettings(vscode.Uri.file(subject.clip));
    const request = await askParameters(kind, { prompt, layers, window });
    if (request === undefined) return;
    await this.parts.analyses.start(
      { ...subject, prompt },
      [request],
      descriptorOf(request.kind).view,
    );
  }

  /** What a CodeLens above a question does: no further questions, the paper's parameters. */
  async question(subject: AnalysisSubject, action: LensAction): Promise<void> {
    if (action === "analyze") return this.#start(subject);
    const { window } = readSettings(vscode.Uri.file(subject.clip));
    if (action === "knockout") {
      return this.parts.analyses.start(subject, [paperSweep(subject.prompt, window)], "knockout");
    }
    const layers = await this.#layers();
    if (layers === undefined) return;
    await this.parts.analyses.start(subject, [paperPathways(layers)], "pathways");
  }

  async #add(
    session: RunSession,
    prompt: PromptItem,
    layers: number,
    kind: ExperimentKind,
  ): Promise<void> {
    const { window } = readSettings();
    if (descriptorOf(kind).needs === "keywords" && prompt.keywords.length === 0) {
      throw new Error("this run's question names no keywords; add them to its prompt file");
    }
    const request = await askParameters(kind, { prompt, layers, window });
    if (request === undefined) return;
    await this.parts.consent.require(session);
    this.parts.panels.show(session, descriptorOf(request.kind).view);
    await this.parts.experimenter.submit(session, { kind: "experiment", request });
  }

  #start(subject: AnalysisSubject, timeline?: Timeline): Promise<void> {
    const { window } = readSettings(vscode.Uri.file(subject.clip));
    const sweep = [paperSweep(subject.prompt, window)];
    return this.parts.analyses.start(subject, sweep, undefined, timeline);
  }

  /** A clip with a question: of its prompt file, else the one asked last, else a new one. */
  async #subjectOf(clicked: unknown): Promise<AnalysisSubject | undefined> {
    const front = clicked instanceof vscode.Uri ? clicked : activeTabFile();
    const stated = front === undefined ? [] : await this.parts.questions.inFile(front);
    const first = stated[0];
    if (first !== undefined) return stated.length === 1 ? first : pickQuestion(stated);
    const clip = await clipFor(clicked);
    if (clip === undefined) return undefined;
    const beside = (await this.parts.questions.besideClip(clip))[0];
    if (beside !== undefined) return beside;
    const before = this.parts.analyses.asked(clip);
    const prompt = before ?? (await askQuestion(clip, undefined));
    return prompt === undefined ? undefined : { clip, prompt };
  }

  async #layers(): Promise<number | undefined> {
    const { folder } = this.parts.models.chosen();
    const { support } = await this.parts.models.describe("", folder, "added");
    if (support.ok) return support.layers;
    throw new Error(support.why);
  }
}

async function pickQuestion(
  subjects: readonly AnalysisSubject[],
): Promise<AnalysisSubject | undefined> {
  const items = subjects.map((subject) => ({
    label: subject.prompt.question,
    description: subject.prompt.id ?? "",
    subject,
  }));
  const picked = await pick(items, { placeHolder: "Question to analyze" });
  return picked?.subject;
}

/** A question with keywords, where the experiment needs them; undefined when the user leaves. */
async function withKeywords(
  kind: ExperimentKind,
  prompt: PromptItem,
): Promise<PromptItem | undefined> {
  if (descriptorOf(kind).needs !== "keywords" || prompt.keywords.length > 0) return prompt;
  const typed = await ask({
    title: "Keyword knockout",
    prompt: "Words of the question to cut, with spaces between them",
    value: prompt.question,
    stay: true,
    problem: (text) => (text.trim() === "" ? "A word is needed" : undefined),
  });
  const keywords = typed?.split(/\s+/).filter((word) => word !== "");
  return keywords === undefined ? undefined : { ...prompt, keywords };
}
