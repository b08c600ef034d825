import { fixed } from "../../common/fixed.ts";
import type { RunEvent, RunEventOf } from "../../protocol/events.ts";
import { descriptorOf } from "../../protocol/experiments/list.ts";
import type { ExperimentRequest } from "../../protocol/experiments/schemas.ts";
import { experimentsOf } from "../../runs/experiments.ts";
import { only } from "../layers.ts";
import { generatedAnswers, generationLines } from "./generation-report.ts";
import { searchLines, searchReport } from "./search-report.ts";

type Result = RunEventOf<"branch.result">;

const resultsOf = (events: readonly RunEvent[]): Result[] =>
  experimentsOf(events).flatMap(({ results }) => results);

/** An experiment as `--json` prints it; layers count from 0. */
export function experimentReport(
  events: readonly RunEvent[],
  request: ExperimentRequest,
  out: string,
): Record<string, unknown> {
  if (request.kind === "pathway-search") return searchReport(events, request, out);
  const { model, video, prompt } = only(events, "run.started");
  const head = { model, video: video.path, prompt: prompt.text };
  if (request.kind === "generation") return { ...head, answers: generatedAnswers(events), out };
  return { ...head, experiment: request, points: resultsOf(events).map(pointReport), out };
}

function pointReport(result: Result): Record<string, unknown> {
  const { type: _, experiment: __, options: ___, edges_left, detail, ...figures } = result;
  return {
    ...figures,
    ...(edges_left === undefined ? {} : { edges_left }),
    ...(detail === undefined ? {} : { detail }),
  };
}

/** An experiment as text: a table laid out as its descriptor says; layers count from 1. */
export function printExperiment(events: readonly RunEvent[], request: ExperimentRequest): string[] {
  if (request.kind === "pathway-search") return searchLines(events, request);
  if (request.kind === "generation") return generationLines(events);
  const { answer } = only(events, "answer");
  const results = resultsOf(events);
  return [
    `answer    ${JSON.stringify(answer.token)}, probability ${answer.probability.toFixed(4)}`,
    "",
    ...tableOf(results, descriptorOf(request.kind).layout),
  ];
}

function tableOf(results: readonly Result[], layout: string): string[] {
  switch (layout) {
    case "head-by-layer":
      return table(
        "Change of the answer's probability in %, by head and the window's centre (from 1):",
        results,
        ({ detail }) => `head ${(detail?.head ?? 0) + 1}`,
        ({ layer }) => layer + 1,
      );
    case "frame-by-frame":
      return table(
        "Change of the answer's probability in %; a row reads, a column is cut off (frames from 1):",
        results,
        ({ detail }) => `frame ${(detail?.to ?? 0) + 1}`,
        ({ detail }) => (detail?.from ?? 0) + 1,
      );
    case "series-by-layer":
      return table(
        "Change of the answer's probability in %, by the window's centre (layers from 1):",
        results,
        ({ series }) => series,
        ({ layer }) => layer + 1,
      );
    default:
      return list(results);
  }
}

/** One row for each label and one column for each number; a star where the answer changes. */
function table(
  caption: string,
  results: readonly Result[],
  rowOf: (result: Result) => string,
  columnOf: (result: Result) => number,
): string[] {
  const rows = [...new Set(results.map(rowOf))];
  const columns = [...new Set(results.map(columnOf))].sort((a, b) => a - b);
  const width = Math.max(...rows.map((name) => name.length));
  const cells = new Map(results.map((each) => [`${rowOf(each)}\n${columnOf(each)}`, cell(each)]));
  return [
    caption,
    `${"".padEnd(width)}${columns.map((column) => String(column).padStart(8)).join("")}`,
    ...rows.map((row) => {
      const values = columns.map((column) => cells.get(`${row}\n${column}`) ?? "");
      return `${row.padEnd(width)}${values.map((value) => value.padStart(8)).join("")}`;
    }),
    "* the answer changes",
  ];
}

function cell({ relative_diff, new_answer, base_answer }: Result): string {
  return `${fixed(relative_diff, 1)}${new_answer === base_answer ? "" : "*"}`;
}

/** One line for each result, with the edges left where they count. */
function list(results: readonly Result[]): string[] {
  const width = Math.max(...results.map(({ series }) => series.length));
  return results.map(({ series, edges_left, new_answer, relative_diff }) => {
    const edges = edges_left === undefined ? "" : `edges left ${(100 * edges_left).toFixed(1)} %  `;
    const change = `answer ${JSON.stringify(new_answer)}  change ${fixed(relative_diff, 1)} %`;
    return `${series.padEnd(width)}  ${edges}${change}`;
  });
}
