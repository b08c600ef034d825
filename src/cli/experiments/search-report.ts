import type { RunEvent, RunEventOf } from "../../protocol/events.ts";
import { keptText } from "../../protocol/experiments/parameters.ts";
import {
  bestForEdges,
  keepsAnswer,
  PATHWAY_SERIES,
  type PathwayPoint,
  pathwayPoints,
  RANDOM_SERIES,
  TRIED_SERIES,
} from "../../protocol/pathways.ts";
import type { SearchRequest } from "../../protocol/presets.ts";
import { experimentsOf, type SearchOutcome } from "../../runs/experiments.ts";
import { only } from "../layers.ts";

interface Search {
  readonly outcome: SearchOutcome;
  /** What was found, as it was run once more. */
  readonly found: PathwayPoint | null;
  readonly tried: readonly PathwayPoint[];
  readonly random: RunEventOf<"branch.result"> | undefined;
}

function searchOf(events: readonly RunEvent[]): Search {
  const found = experimentsOf(events).findLast(({ kind }) => kind === "pathway-search");
  if (found?.outcome === undefined) throw new Error("the run has no search that came to its end");
  const { outcome, results } = found;
  const of = (name: string) => results.filter(({ series }) => series === name);
  return {
    outcome,
    found: outcome.found === null ? null : (pathwayPoints(of(PATHWAY_SERIES)).at(-1) ?? null),
    tried: pathwayPoints(of(TRIED_SERIES)),
    random: of(RANDOM_SERIES).at(-1),
  };
}

/** A search as `--json` prints it; layers count from 0. */
export function searchReport(
  events: readonly RunEvent[],
  request: SearchRequest,
  out: string,
): Record<string, unknown> {
  const { outcome, found, tried, random } = searchOf(events);
  const { model, video, prompt } = only(events, "run.started");
  const { answer } = only(events, "answer");
  const plain = (point: PathwayPoint) => ({
    ...point.ranges,
    edges_left: point.edgesLeft,
    probability: point.result.new_score,
    share_kept: point.share,
    answer: point.result.new_answer,
    keeps: keepsAnswer(point.result, request.keepShare),
  });
  return {
    model,
    video: video.path,
    prompt: prompt.text,
    answer: { token: answer.token, probability: answer.probability },
    experiment: request,
    found: found === null ? null : plain(found),
    random:
      random === undefined ? null : { probability: random.new_score, answer: random.new_answer },
    ended: outcome.ended,
    curve: bestForEdges(tried).map(plain),
    tried: tried.map(plain),
    out,
  };
}

/** The curve, a line for each point, and what was found, with how far that can be trusted. */
export function searchLines(events: readonly RunEvent[], { keepShare }: SearchRequest): string[] {
  const { outcome, found, tried, random } = searchOf(events);
  const { answer } = only(events, "answer");
  const curve = bestForEdges(tried);
  const head = ["edges left", "kept", "answer", "ranges that are kept (layers from 1)"];
  const rows = curve.map(({ edgesLeft, share, ranges, result }) => [
    percent(edgesLeft),
    percent(share),
    JSON.stringify(result.new_answer),
    keptText(ranges),
  ]);
  const widths = head.map((_, c) =>
    Math.max(...[head, ...rows].map((row) => (row[c] ?? "").length)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, c) => (c < 2 ? cell.padStart(widths[c] ?? 0) : cell.padEnd(widths[c] ?? 0)))
      .join("  ")
      .trimEnd();
  return [
    `answer    ${JSON.stringify(answer.token)}, probability ${answer.probability.toFixed(4)}`,
    "",
    "The most of the answer's probability that was kept, by attention edges left:",
    line(head),
    ...rows.map(line),
    "",
    ...(found === null
      ? [`found     nothing that keeps the answer and ${percent(keepShare)} of its probability`]
      : [
          `found     ${keptText(found.ranges)}`,
          `          ${percent(found.edgesLeft)} of the edges left, probability ${found.result.new_score.toFixed(4)}` +
            ` (${percent(found.share)} of clean; wanted ${percent(keepShare)})`,
          ...(random === undefined
            ? []
            : [
                `          as many edges cut at random: answer ${JSON.stringify(random.new_answer)},` +
                  ` probability of ${JSON.stringify(answer.token)} ${random.new_score.toFixed(4)}`,
              ]),
        ]),
    outcome.ended === "local"
      ? `search    ${outcome.tried} pathways tried, all that are one step from the best among them; not a proof that none is smaller`
      : `search    stopped after ${outcome.tried} pathways, as many as allowed; smaller ones may exist (--candidates)`,
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
