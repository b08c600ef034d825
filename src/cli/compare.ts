import { resolve } from "node:path";
import { InputError } from "../common/errors.ts";
import {
  alignRuns,
  compareAnswers,
  compareSweeps,
  MAX_RUNS,
  MIN_RUNS,
  usualSubject,
} from "../runs/comparison/compare.ts";
import { contrastsOf } from "../runs/comparison/contrasts.ts";
import { type RunFacts, runFacts } from "../runs/comparison/facts.ts";
import type { ComparedLines } from "../runs/comparison/lines.ts";
import { type Missing, missingOf } from "../runs/comparison/missing.ts";
import { comparisonReport } from "../runs/comparison/report.ts";
import { compareWords, wordLists } from "../runs/comparison/words.ts";
import { readRunFile } from "../runs/file.ts";
import { parseWords, SPATIAL_WORDS, TEMPORAL_WORDS } from "../runs/words.ts";
import { UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";

/** `flowprobe compare`: runs beside one another. */
export const compare: Command = {
  name: "compare",
  summary: "run files side by side",
  usage: "RUN RUN [RUN [RUN]] …",
  about:
    "Compares two to four run files: answers, the right option's probability by layer, knockout sweeps,\n" +
    "attention by token group (--json), and when words appear in the logit lens. Differences are each\n" +
    "run's value less the first run's. Runs of other depth are matched by relative depth.",
  flags: {
    spatial: { kind: "text", value: "WORDS", help: "spatial words to look for, with commas" },
    temporal: { kind: "text", value: "WORDS", help: "temporal words to look for, with commas" },
    json: { kind: "flag", help: "print one JSON object instead of tables" },
  },
  cancelled: "cancelled; nothing was written",
  async run(args, terminal) {
    const files = args.positionals.map((path) => resolve(path));
    if (files.length < MIN_RUNS || files.length > MAX_RUNS) {
      throw new UsageError(`${MIN_RUNS} to ${MAX_RUNS} run files are needed`);
    }
    const runs: RunFacts[] = [];
    for (const path of files) {
      const { events, problems } = await readRunFile(path, terminal.signal);
      for (const problem of problems) terminal.note(`${path}: ${problem}`);
      const facts = runFacts(events);
      if (facts === null) throw new InputError(`${path}: no run was started in this file`);
      runs.push(facts);
    }
    const words = {
      spatial: parseWords(args.text("spatial") ?? SPATIAL_WORDS),
      temporal: parseWords(args.text("temporal") ?? TEMPORAL_WORDS),
    };
    if (args.flag("json")) {
      terminal.print(JSON.stringify(comparisonReport(runs, files, words), null, 2));
      return;
    }
    const print = (line: string) => terminal.print(line);
    printRuns(runs, print);
    printLines(runs, print);
    printWords(runs, words, print);
    for (const missing of missingOf(runs)) print(`\n${missingText(missing)}`);
  },
};

type Print = (line: string) => void;

function printRuns(runs: readonly RunFacts[], print: Print): void {
  runs.forEach(({ model, video, answer }, i) => {
    const verdict = answer?.correct == null ? "" : answer.correct ? ", right" : ", wrong";
    const order = video.order === null ? "" : `, ${video.order}`;
    const said =
      answer === null
        ? "no answer"
        : `${JSON.stringify(answer.token)} ${answer.probability.toFixed(4)}${verdict}`;
    print(`run ${i + 1}  ${model.name}, ${video.path}${order}: ${said}`);
  });
  for (const { what, values } of contrastsOf(runs).different) {
    print(`${what}: ${values.map((value) => JSON.stringify(value)).join(" / ")}`);
  }
}

function printLines(runs: readonly RunFacts[], print: Print): void {
  const alignment = alignRuns(runs);
  if (alignment.relative) {
    print(
      `\nThe runs differ in depth: layers are those of the deepest (${alignment.layers}); the others'\n` +
        "nearest by relative depth stand beside them.",
    );
  }
  const answers = compareAnswers(runs, alignment, usualSubject(runs), "normed");
  print(`\nprobability of the ${answers.name}, by layer`);
  printTable([answers], 4, print);
  const sweeps = compareSweeps(runs, alignment, "answer");
  const shared = sweeps.filter(({ differences }) => differences.some((line) => line !== null));
  if (shared.length === 0) return;
  print("\nchange by a cut in %, series that run 1 and another have; differences in points");
  printTable(shared, 1, print);
  for (const { name, settings, sameSettings } of shared) {
    if (!sameSettings) print(`${name}: measured with other windows: ${settings.join(" / ")}`);
  }
}

/** A row for each layer of each quantity: the runs' values, then the differences to the first. */
function printTable(lines: readonly ComparedLines[], digits: number, print: Print): void {
  const width = Math.max(0, ...lines.map(({ name }) => name.length));
  const runs = lines[0]?.values.length ?? 0;
  const numbers = Array.from({ length: runs }, (_, i) => `run ${i + 1}`);
  const heads = [...numbers, ...numbers.slice(1).map((name) => `${name} - 1`)];
  print(`${"".padEnd(width)} layer${heads.map((head) => head.padStart(10)).join("")}`);
  for (const { name, values, differences } of lines) {
    const layers = Math.max(0, ...values.map((line) => line?.length ?? 0));
    for (let layer = 0; layer < layers; layer++) {
      const cells = [...values, ...differences.slice(1)].map((line) => line?.[layer] ?? null);
      if (cells.every((cell) => cell === null)) continue;
      const shown = cells.map((cell) => numeral(cell, digits).padStart(10)).join("");
      print(`${name.padEnd(width)} ${String(layer + 1).padStart(5)}${shown}`);
    }
  }
}

/** A number, or a dash; without the sign of a zero. */
function numeral(value: number | null, digits: number): string {
  return value?.toFixed(digits).replace(/^-(?=[0.]*$)/, "") ?? "-";
}

function printWords(
  runs: readonly RunFacts[],
  lists: { readonly spatial: readonly string[]; readonly temporal: readonly string[] },
  print: Print,
): void {
  if (runs.every(({ lens }) => lens === null)) return;
  const alignment = alignRuns(runs);
  print(
    "\nfirst layer at which a word leads in some video token, and the layer at which it does in most",
  );
  for (const list of wordLists(runs, lists)) {
    const { name, first, peak } = compareWords(runs, alignment, list);
    const cells = first.map((layer, run) => {
      if (runs[run]?.lens === null) return "not read";
      return layer === null ? "never" : `${layer + 1}, most at ${(peak[run] ?? 0) + 1}`;
    });
    print(
      `${name.padEnd(19)} ${cells.map((cell, i) => `run ${i + 1}: ${cell}`.padEnd(28)).join("")}`,
    );
  }
}

const GET: Readonly<Record<Missing["what"], string>> = {
  answer: "`flowprobe analyze`",
  mass: "`flowprobe attention`",
  lens: "`flowprobe lens`",
  series: "`flowprobe knockout`",
};
const NAMES: Readonly<Record<Missing["what"], string>> = {
  answer: "answer by layer",
  mass: "attention by token group",
  lens: "logit lens",
  series: "knockout series",
};

function missingText(missing: Missing): string {
  const series = missing.what === "series" ? ` ${missing.series.join(", ")}` : "";
  const how =
    missing.what === "series" && missing.request === null
      ? "its prompt has no such tokens"
      : `${GET[missing.what]} with --out RUN adds it`;
  return `run ${missing.run + 1} has no ${NAMES[missing.what]}${series}: ${how}`;
}
