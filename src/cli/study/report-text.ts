import { fixed } from "../../common/fixed.ts";
import { descriptorOf } from "../../protocol/experiments/list.ts";
import type { MeanInterval } from "../../runs/statistics/intervals.ts";
import type { Proportion } from "../../runs/statistics/proportions.ts";
import type { ExperimentReport, StudyReport, TaskReport } from "../../runs/study/report.ts";

/** A study's report as text: intervals are of 95 %, layers count from 1. */
export function reportLines(report: StudyReport): string[] {
  const { questions, done, failed, samples, tasks } = report;
  return [
    `${done} of ${questions} questions done, ${failed.length} failed; means over: ${samples}`,
    ...tasks.flatMap(taskLines),
  ];
}

function taskLines({ task, clean, answerByLayer, experiments }: TaskReport): string[] {
  return [
    "",
    `== ${task}: clean accuracy ${shareText(clean)}`,
    ...(answerByLayer.length === 0
      ? []
      : [
          "probability of the right option, and of the others, by layer:",
          row(
            "right",
            answerByLayer.map(({ right }) => fixed(right.mean, 3)),
          ),
          row(
            "others",
            answerByLayer.map(({ wrong }) => fixed(wrong.mean, 3)),
          ),
        ]),
    ...experiments.flatMap(experimentLines),
  ];
}

function experimentLines(experiment: ExperimentReport): string[] {
  const { kind, title, variant, runs, points, flips } = experiment;
  const head = `-- ${title}: ${variant} (${runs} runs)`;
  if (descriptorOf(kind).layout === "edges-left") {
    return [
      head,
      ...points.map(({ series, accuracy, change }) => {
        const own = flips.find((each) => each.series === series);
        const test =
          own === undefined ? "" : `, lost ${own.lost}, won ${own.won}, p ${fixed(own.p, 3)}`;
        return `${series}: accuracy ${shareText(accuracy)}, change ${meanText(change)} %${test}`;
      }),
    ];
  }
  const series = [...new Set(points.map((point) => point.series))];
  const layers = [...new Set(points.map(({ layer }) => layer))].sort((a, b) => a - b);
  return [
    head,
    "mean change of the answer's probability in %, half of its interval; * significant",
    row(
      "",
      layers.map((layer) => String(layer + 1)),
    ),
    ...series.map((name) =>
      row(
        name,
        layers.map((layer) => {
          const point = points.find((each) => each.series === name && each.layer === layer);
          return point === undefined
            ? ""
            : `${meanText(point.change)}${point.significant ? "*" : ""}`;
        }),
      ),
    ),
  ];
}

/** Holds the longest name of a series. */
const NAME_WIDTH = 36;
const CELL_WIDTH = 13;

function row(name: string, cells: readonly string[]): string {
  return name.padEnd(NAME_WIDTH) + cells.map((cell) => cell.padStart(CELL_WIDTH)).join("");
}

function meanText({ mean, low, high }: MeanInterval): string {
  const half = low === null || high === null ? "" : `±${fixed((high - low) / 2, 1)}`;
  return `${fixed(mean, 1)}${half}`;
}

function shareText({ share, low, high, of }: Proportion): string {
  const percent = (value: number) => fixed(100 * value, 1);
  return `${percent(share)} % of ${of} (${percent(low)}-${percent(high)})`;
}
