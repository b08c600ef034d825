import type { RunEvent, RunEventOf } from "../protocol/events.ts";
import {
  bestForEdges,
  keepsAnswer,
  type NamedRanges,
  PATHWAY_SERIES,
  type PathwayPoint,
  pathwayPoints,
  RANDOM_SERIES,
  TRIED_SERIES,
} from "../protocol/pathways.ts";
import {
  DEFAULT_KEEP_SHARE,
  DEFAULT_MAX_CANDIDATES,
  DEFAULT_RANDOM_SEED,
  KEEP_SHARES,
  pathwaySearch,
  type SearchRequest,
} from "../protocol/presets.ts";
import { experimentsOf, type SearchOutcome } from "../runs/experiments.ts";
import { type Flags, type ParsedArguments, UsageError } from "./arguments.ts";
import { runClip } from "./clip-run.ts";
import type { Terminal } from "./command.ts";
import { only } from "./layers.ts";
import { KEPT_NAMES } from "./pathway-flags.ts";

/** Flags of the search for the smallest pathway. */
export const FIND_FLAGS: Flags = {
  find: { kind: "flag", help: "search for the fewest edges that keep the answer" },
  "keep-share": {
    kind: "number",
    value: "SHARE",
    help: `with --find: share of the clean probability to keep (${DEFAULT_KEEP_SHARE})`,
  },
  candidates: {
    kind: "whole",
    value: "N",
    help: `with --find: pathways tried at most (${DEFAULT_MAX_CANDIDATES})`,
  },
};

/**
 * The search that the flags ask for, if they do.
 *
 * @throws UsageError when the flags do not go together, or the share is out of bounds.
 */
export function searchRequest(args: ParsedArguments): SearchRequest | undefined {
  if (!args.flag("find")) {
    const stray = ["keep-share", "candidates"].find((name) => args.has(name));
    if (stray !== undefined) throw new UsageError(`--${stray} belongs to --find, which is missing`);
    return undefined;
  }
  const given = ["preset", "keep"].find((name) => args.has(name));
  if (given !== undefined) throw new UsageError(`--find and --${given} exclude each other`);
  const keepShare = args.number("keep-share") ?? DEFAULT_KEEP_SHARE;
  const { min, max } = KEEP_SHARES;
  if (keepShare < min || keepShare > max) {
    throw new UsageError(`--keep-share is ${keepShare}; it can be from ${min} to ${max}`);
  }
  const maxCandidates = args.number("candidates") ?? DEFAULT_MAX_CANDIDATES;
  if (maxCandidates < 1) throw new UsageError("--candidates is 0; at least one is needed");
  const randomSeed = args.number("random") ?? DEFAULT_RANDOM_SEED;
  return { ...pathwaySearch(keepShare), maxCandidates, randomSeed };
}

/** Runs a search, and prints the curve and what was found. */
export async function findPathway(
  args: ParsedArguments,
  terminal: Terminal,
  request: SearchRequest,
): Promise<void> {
  const { events, path } = await runClip(args, terminal, () => ({ experiments: [request] }));
  const search = searchOf(events);
  if (args.flag("json")) {
    terminal.print(JSON.stringify(searchReport(events, search, request, path), null, 2));
  } else {
    for (const line of searchLines(events, search, request)) terminal.print(line);
    terminal.print(`\nrun file  ${path}`);
  }
}

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

/** The search as `--json` prints it; layers count from 0. */
function searchReport(
  events: readonly RunEvent[],
  { outcome, found, tried, random }: Search,
  request: SearchRequest,
  out: string,
): Record<string, unknown> {
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
function searchLines(
  events: readonly RunEvent[],
  { outcome, found, tried, random }: Search,
  { keepShare }: SearchRequest,
): string[] {
  const { answer } = only(events, "answer");
  const curve = bestForEdges(tried);
  const head = ["edges left", "kept", "answer", "ranges that are kept (layers from 1)"];
  const rows = curve.map(({ edgesLeft, share, ranges, result }) => [
    percent(edgesLeft),
    percent(share),
    JSON.stringify(result.new_answer),
    rangesText(ranges),
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
          `found     ${rangesText(found.ranges)}`,
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

/** Ranges as `--keep` takes them. */
function rangesText(ranges: NamedRanges): string {
  const named = Object.entries(KEPT_NAMES).flatMap(([name, family]) => {
    const range = ranges[family];
    return range === null ? [] : [`${name}=${range[0] + 1}-${range[1] + 1}`];
  });
  return named.length === 0 ? "no family" : named.join(",");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
