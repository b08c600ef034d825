import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { InputError } from "../../common/errors.ts";
import { EngineClient } from "../../engine/service/client.ts";
import { loadPromptFile } from "../../prompts/files.ts";
import type { Outcome, Study, StudyQuestion } from "../../protocol/study.ts";
import { readRunEvents } from "../../runs/file.ts";
import { SAMPLE_MODES } from "../../runs/records.ts";
import { StudyFolder } from "../../runs/study/folder.ts";
import { isReported, type StudyRun, studyReport, withoutTensors } from "../../runs/study/report.ts";
import { type ParsedArguments, UsageError } from "../arguments.ts";
import type { Command, Terminal } from "../command.ts";
import { ENGINE_FLAGS, engineSettings } from "../job.ts";
import { hashOf, planStudy, STUDY_NAMES } from "./plan.ts";
import { reportLines } from "./report-text.ts";
import { type StudyWork, studyModel, workOn } from "./worker.ts";

const STEPS = ["new", "run", "status", "report"] as const;

/** `flowprobe study`: the same experiments on many questions, in a folder. */
export const study: Command = {
  name: "study",
  summary: "the same experiments on many questions: new, run, status, report",
  usage:
    "new DATASET --out DIR [--experiments LIST] [--experiment 'NAME --FLAG …'] …\n" +
    "       flowprobe study run DIR [--workers N] [--shard I/N]\n" +
    "       flowprobe study status DIR | report DIR",
  about:
    "A study is a folder: its plan (study.json), one run file a question, and how each question ended.\n" +
    "A question that cannot be run is recorded with its reason, and the others go on. Run it again after\n" +
    "a stop: what is done is not computed again, and what changed (clip, question, model) is computed\n" +
    "anew. Workers share nothing but the folder: several may run at once, on several machines.\n" +
    `LIST has ${STUDY_NAMES.join(", ")}.`,
  flags: {
    out: { kind: "text", value: "DIR", help: "new: the study's folder" },
    experiments: { kind: "text", value: "LIST", help: "new: what is computed (answer,knockout)" },
    experiment: {
      kind: "list",
      value: "'NAME --FLAG …'",
      help: "new: one more, with its own command's flags; once for each",
    },
    task: { kind: "text", value: "NAME", help: "new: only questions of this task" },
    limit: { kind: "whole", value: "N", help: "new: at most N questions of each task" },
    seed: {
      kind: "whole",
      value: "N",
      help: "new: questions are drawn with it; else the first ones",
    },
    samples: { kind: "text", oneOf: SAMPLE_MODES, help: "new: questions that count (correct)" },
    frames: {
      kind: "whole",
      value: "N",
      help: "new: frames to sample; as the model says without it",
    },
    workers: { kind: "whole", value: "N", help: "run: engines at once on this machine (1)" },
    shard: { kind: "text", value: "I/N", help: "run: every N-th question, from the I-th" },
    retry: { kind: "flag", help: "run: try again what failed, though nothing has changed" },
    ...ENGINE_FLAGS,
    json: { kind: "flag", help: "status, report: print one JSON object" },
  },
  cancelled: "cancelled; what is done stays: run the study again to go on",
  async run(args, terminal) {
    const [name, target] = args.positionals;
    const step = STEPS.find((known) => known === name);
    if (step === undefined) throw new UsageError(`say one of ${STEPS.join(", ")}`);
    if (step === "new") return newStudy(args, terminal);
    if (target === undefined) throw new UsageError("the study's folder is missing");
    const folder = new StudyFolder(resolve(target));
    const plan = await folder.readPlan();
    if (step === "run") return runStudy(folder, plan, args, terminal);
    return step === "status"
      ? showStatus(folder, plan, args, terminal)
      : showReport(folder, plan, args, terminal);
  },
};

async function newStudy(args: ParsedArguments, terminal: Terminal): Promise<void> {
  const out = args.text("out");
  if (out === undefined) throw new UsageError("--out is missing: the study's folder");
  const folder = new StudyFolder(resolve(out));
  if (existsSync(folder.planFile)) {
    throw new InputError(`${folder.planFile}: there is a study already; choose another folder`);
  }
  const plan = await planStudy(args, "flowprobe");
  await folder.writePlan(plan);
  const kinds = plan.experiments.map(({ kind }) => kind).join(", ") || "none";
  terminal.print(`${plan.questions.length} questions, experiments: ${kinds}`);
  terminal.print(`next: flowprobe study run ${out}`);
}

async function runStudy(
  folder: StudyFolder,
  plan: Study,
  args: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  if ((await hashOf(plan.dataset.path)) !== plan.dataset.sha256) {
    terminal.note(`${plan.dataset.path} has changed since the study was planned`);
  }
  const questions = await loadPromptFile(plan.dataset.path, { needVideos: false });
  const loaded = new Map(questions.map((question, index) => [index + 1, question]));
  // Questions on one clip follow one another: its features are still there.
  const clip = ({ number }: StudyQuestion) => loaded.get(number)?.videoPath ?? "";
  const mine = shardOf(plan.questions, args.text("shard")).sort(
    (a, b) => clip(a).localeCompare(clip(b)) || a.number - b.number,
  );
  const count = Math.max(1, Math.min(args.number("workers") ?? 1, mine.length));
  const settings = engineSettings(args);
  const threads = settings.threads || Math.max(1, Math.floor(availableParallelism() / count));
  const clients = Array.from(
    { length: count },
    () => new EngineClient({ settings: count > 1 ? { ...settings, threads } : settings }),
  );
  const [first] = clients;
  if (first === undefined) throw new Error("a study needs a worker");
  try {
    const model = await studyModel(first, plan);
    const retry = args.flag("retry");
    const work: StudyWork = { folder, plan, loaded, model, terminal, retry };
    let ended = 0;
    const onEnd = () => {
      ended++;
      terminal.status(`${Math.min(ended, mine.length)} of ${mine.length} questions`);
    };
    // Each worker begins elsewhere, so that they meet late.
    await Promise.all(
      clients.map((client, w) => {
        const from = Math.floor((w * mine.length) / count);
        return workOn(work, client, [...mine.slice(from), ...mine.slice(0, from)], onEnd);
      }),
    );
  } finally {
    terminal.status("");
    await Promise.all(clients.map((client) => client.dispose()));
  }
  await showStatus(folder, plan, args, terminal);
}

/** `I/N`: every N-th question, from the I-th, counted from 1. */
function shardOf(questions: readonly StudyQuestion[], text: string | undefined): StudyQuestion[] {
  if (text === undefined) return [...questions];
  const [, index, of] = (text.match(/^(\d+)\/(\d+)$/) ?? []).map(Number);
  if (index === undefined || of === undefined || index < 1 || index > of) {
    throw new UsageError(`--shard is "${text}"; write it as I/N with I from 1 to N`);
  }
  return questions.filter((_, i) => i % of === index - 1);
}

async function outcomesOf(folder: StudyFolder, plan: Study): Promise<Map<number, Outcome>> {
  const outcomes = new Map<number, Outcome>();
  for (const question of plan.questions) {
    const ended = await folder.outcomeOf(question);
    if (ended !== undefined) outcomes.set(question.number, ended);
  }
  return outcomes;
}

async function showStatus(
  folder: StudyFolder,
  plan: Study,
  args: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  const outcomes = await outcomesOf(folder, plan);
  const failed = plan.questions.flatMap((question) => {
    const ended = outcomes.get(question.number);
    return ended?.status === "failed" ? [{ ...question, reason: ended.reason ?? "" }] : [];
  });
  const done = outcomes.size - failed.length;
  const waiting = plan.questions.length - outcomes.size;
  if (args.flag("json")) {
    const report = { questions: plan.questions.length, done, waiting, failed };
    terminal.print(JSON.stringify(report, null, 2));
    return;
  }
  terminal.print(
    `${plan.questions.length} questions: ${done} done, ${waiting} waiting, ${failed.length} failed`,
  );
  for (const { number, id, video, reason } of failed) {
    terminal.print(
      `  question ${number} (${id === undefined ? "" : `${id}, `}${video}): ${reason}`,
    );
  }
}

async function showReport(
  folder: StudyFolder,
  plan: Study,
  args: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  const outcomes = await outcomesOf(folder, plan);
  const runs: StudyRun[] = [];
  for (const question of plan.questions) {
    if (outcomes.get(question.number)?.status !== "done") continue;
    terminal.status(`reading ${question.number}`);
    const events = [];
    for await (const event of readRunEvents(folder.runFile(question), [])) {
      if (isReported(event)) events.push(withoutTensors(event));
    }
    runs.push({ question, events });
  }
  terminal.status("");
  const report = studyReport(plan, runs, outcomes);
  if (args.flag("json")) terminal.print(JSON.stringify(report, null, 2));
  else for (const line of reportLines(report)) terminal.print(line);
}
