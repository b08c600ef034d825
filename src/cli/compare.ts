import { resolve } from "node:path";
import type { RunEvent } from "../runs/events.ts";
import { readRunFile } from "../runs/file.ts";
import { UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { only } from "./layers.ts";

/** `flowprobe compare`: two runs beside one another. */
export const compare: Command = {
  name: "compare",
  summary: "two run files side by side",
  usage: "RUN RUN",
  about:
    "Compares two run files: answers, the right option's probability by layer, and sweep points of the\n" +
    "same series. Differences are the second run's value less the first's.",
  flags: { json: { kind: "flag", help: "print one JSON object instead of tables" } },
  async run(args, terminal) {
    const [first, second, ...more] = args.positionals;
    if (first === undefined || second === undefined || more.length > 0) {
      throw new UsageError("two run files are needed");
    }
    const runs: (readonly RunEvent[])[] = [];
    for (const path of [first, second]) {
      const { events, problems } = await readRunFile(resolve(path));
      for (const problem of problems) terminal.note(`${path}: ${problem}`);
      runs.push(events);
    }
    const [a = [], b = []] = runs;
    const report = compareRuns(a, b);
    if (args.flag("json")) {
      terminal.print(JSON.stringify(report, null, 2));
      return;
    }
    for (const [i, run] of report.runs.entries()) {
      const verdict = run.correct === null ? "" : run.correct ? ", right" : ", wrong";
      terminal.print(
        `run ${i + 1}  ${run.model}, ${run.video}: ${JSON.stringify(run.answer)} ${run.probability.toFixed(4)}${verdict}`,
      );
    }
    terminal.print(
      "\nprobability of the answer of run 1, by layer\nlayer    run 1    run 2  difference",
    );
    for (const { layer, probabilities, difference } of report.answerByLayer) {
      const [one, two] = probabilities.map((value) => value.toFixed(4).padStart(9));
      terminal.print(
        `${String(layer + 1).padStart(5)}${one}${two}${difference.toFixed(4).padStart(12)}`,
      );
    }
    if (report.points.length === 0) return;
    terminal.print("\nchange by a cut in %, points that both runs have");
    const width = Math.max(...report.points.map(({ series }) => series.length));
    for (const { series, layer, relativeDiff, difference } of report.points) {
      const [one, two] = relativeDiff.map((value) => value.toFixed(1).padStart(9));
      terminal.print(
        `${series.padEnd(width)} ${String(layer + 1).padStart(4)}${one}${two}${difference.toFixed(1).padStart(9)}`,
      );
    }
  },
};

/** Two runs side by side; differences are second less first. Layers count from 0. */
export function compareRuns(a: readonly RunEvent[], b: readonly RunEvent[]) {
  const runs = [a, b].map((events) => {
    const { model, video } = only(events, "run.started");
    const { answer, correct } = only(events, "answer");
    return {
      model: model.name,
      video: video.path,
      answer: answer.token,
      probability: answer.probability,
      correct: correct ?? null,
    };
  });
  // Option letters mean the same in both; other answers are read where both name them.
  const label = only(a, "answer").answer.token.trim();
  const byLayer = (events: readonly RunEvent[]) =>
    new Map(
      events.flatMap((event) => {
        if (event.type !== "layer.clean") return [];
        const named = event.normed.top.find(({ token }) => token.trim() === label);
        const value = event.normed.options[label] ?? named?.probability;
        return value === undefined ? [] : [[event.layer, value] as const];
      }),
    );
  return {
    runs,
    answerByLayer: matched(byLayer(a), byLayer(b)).map(({ key, values, difference }) => ({
      layer: key,
      probabilities: values,
      difference,
    })),
    points: matched(pointsOf(a), pointsOf(b)).map(({ key, values, difference }) => {
      const [series, layer] = JSON.parse(key) as [string, number];
      return { series, layer, relativeDiff: values, difference };
    }),
  };
}

function pointsOf(events: readonly RunEvent[]): Map<string, number> {
  return new Map(
    events.flatMap((event) =>
      event.type === "branch.result"
        ? [[JSON.stringify([event.series, event.layer]), event.relative_diff] as const]
        : [],
    ),
  );
}

function matched<K>(a: ReadonlyMap<K, number>, b: ReadonlyMap<K, number>) {
  return [...a].flatMap(([key, first]) => {
    const second = b.get(key);
    return second === undefined
      ? []
      : [{ key, values: [first, second] as const, difference: second - first }];
  });
}
