import { LIMITS } from "../common/limits.ts";
import type { EngineClient } from "../engine/service/client.ts";
import { type RunEvent, type RunEventOf, WINDOW_STYLES } from "../protocol/events.ts";
import { DEFAULT_RANDOM_SEED, PRESET_NAMES, parseLayerRange } from "../protocol/presets.ts";
import {
  type ExperimentRequest,
  KNOCKOUT_TARGETS,
  type KnockoutTarget,
} from "../protocol/requests.ts";
import { type Flags, type ParsedArguments, UsageError } from "./arguments.ts";
import { OUTPUT_FLAGS, runClip } from "./clip-run.ts";
import type { Command, Terminal } from "./command.ts";
import { FIND_FLAGS, findPathway, searchRequest } from "./find-pathway.ts";
import { CLIP_FLAGS, modelFolder } from "./job.ts";
import { only } from "./layers.ts";
import { keptRanges, PATHWAY_FLAGS } from "./pathway-flags.ts";

const DEFAULT_WINDOW = 9;
/** Flags of a knockout sweep. */
export const SWEEP_FLAGS: Flags = {
  target: { kind: "text", oneOf: [...KNOCKOUT_TARGETS, "all"], help: "what is cut (all)" },
  window: {
    kind: "whole",
    value: "W",
    most: LIMITS.layers,
    help: `layers of the window (${DEFAULT_WINDOW})`,
  },
  style: { kind: "text", oneOf: WINDOW_STYLES, help: "which layers around the centre (center)" },
  layers: { kind: "text", value: "A-B", help: "centres to try, counted from 1 (all)" },
};

/** The sweep that the flags ask for. */
export function sweepRequest(args: ParsedArguments): ExperimentRequest {
  const window = args.number("window") ?? DEFAULT_WINDOW;
  if (window < 1) throw new UsageError("--window is 0; at least one layer is needed");
  const layers = args.text("layers");
  const target = KNOCKOUT_TARGETS.find((known) => known === args.text("target"));
  const targets: readonly KnockoutTarget[] = target === undefined ? KNOCKOUT_TARGETS : [target];
  return {
    kind: "knockout",
    targets,
    window,
    style: WINDOW_STYLES.find((known) => known === args.text("style")) ?? "center",
    layers: layers === undefined ? undefined : parseLayerRange(layers),
  };
}

/** `flowprobe knockout`: the paper's attention-knockout sweeps. */
export const knockout: Command = {
  name: "knockout",
  summary: "attention-knockout sweeps on one clip",
  usage: `VIDEO [--target ${[...KNOCKOUT_TARGETS, "all"].join("|")}] …`,
  about:
    "Cuts attention edges in a window of layers around every layer, and shows what that does to the\n" +
    "answer's probability.",
  flags: {
    ...SWEEP_FLAGS,
    ...CLIP_FLAGS,
    ...OUTPUT_FLAGS,
  },
  async run(args, terminal) {
    const request = sweepRequest(args);
    await runExperiment(args, terminal, () => Promise.resolve(request));
  },
};

/** `flowprobe pathways`: keep only the effective pathways, against as many edges cut at random. */
export const pathways: Command = {
  name: "pathways",
  summary: "the effective pathways alone, against as many edges cut at random",
  usage: `VIDEO [--preset ${PRESET_NAMES.join("|")} | --keep RANGES | --find] …`,
  about:
    "Keeps only the pathway's attention edges and cuts the rest; beside it, as many edges are cut at\n" +
    "random. RANGES are layers counted from 1: cross-frame=6-15,video-question=6-20,question-last=16-25.\n" +
    "With --find, the ranges with the fewest edges that keep the answer are searched for.",
  flags: {
    ...PATHWAY_FLAGS,
    ...FIND_FLAGS,
    random: {
      kind: "whole",
      value: "SEED",
      most: 0xffff_ffff,
      help: "seed of the random control (0)",
    },
    ...CLIP_FLAGS,
    ...OUTPUT_FLAGS,
  },
  async run(args, terminal) {
    const search = searchRequest(args);
    if (search !== undefined) return findPathway(args, terminal, search);
    const kept = keptRanges(args);
    const randomSeed = args.number("random") ?? DEFAULT_RANDOM_SEED;
    await runExperiment(args, terminal, async (client) => {
      const { layers } = await client.describe(modelFolder(args).folder);
      return { kind: "pathways", ...kept(layers, terminal), randomSeed };
    });
  },
};

async function runExperiment(
  args: ParsedArguments,
  terminal: Terminal,
  plan: (client: EngineClient) => Promise<ExperimentRequest>,
): Promise<void> {
  const requests: ExperimentRequest[] = [];
  const { events, path } = await runClip(args, terminal, async (client) => {
    requests.push(await plan(client));
    return { experiments: requests };
  });
  const results = events.filter((event) => event.type === "branch.result");
  if (args.flag("json")) {
    terminal.print(JSON.stringify(sweepReport(events, results, requests, path), null, 2));
  } else {
    printResults(events, results, path, (line) => terminal.print(line));
  }
}

type Result = RunEventOf<"branch.result">;

/** An experiment as `--json` prints it; layers count from 0. */
function sweepReport(
  events: readonly RunEvent[],
  results: readonly Result[],
  requests: readonly ExperimentRequest[],
  out: string,
): Record<string, unknown> {
  const { model, video, prompt } = only(events, "run.started");
  return {
    model,
    video: video.path,
    prompt: prompt.text,
    experiment: requests[0],
    points: results.map((result) => ({
      series: result.series,
      layer: result.layer,
      window: result.window,
      base_score: result.base_score,
      new_score: result.new_score,
      relative_diff: result.relative_diff,
      gt_score: result.gt_score,
      new_score_gt: result.new_score_gt,
      relative_diff_gt: result.relative_diff_gt,
      base_answer: result.base_answer,
      new_answer: result.new_answer,
      ...(result.edges_left === undefined ? {} : { edges_left: result.edges_left }),
    })),
    out,
  };
}

/** One line per series: the change in percent at every centre, and the edges left where they count. */
function printResults(
  events: readonly RunEvent[],
  results: readonly Result[],
  path: string,
  print: (line: string) => void,
): void {
  const { answer } = only(events, "answer");
  print(`answer    ${JSON.stringify(answer.token)}, probability ${answer.probability.toFixed(4)}`);
  const series = bySeries(results);
  const width = Math.max(...[...series.keys()].map((name) => name.length));
  const layers = [...new Set(results.map(({ layer }) => layer))].sort((a, b) => a - b);
  print("");
  if (results.some(({ edges_left }) => edges_left !== undefined)) {
    for (const result of results) {
      print(
        `${result.series.padEnd(width)}  edges left ${(100 * (result.edges_left ?? 1)).toFixed(1)} %  ` +
          `answer ${JSON.stringify(result.new_answer)}  change ${result.relative_diff.toFixed(1)} %`,
      );
    }
  } else {
    print("Change of the answer's probability in %, by the window's centre (layers from 1):");
    print(`${"".padEnd(width)}${layers.map((layer) => String(layer + 1).padStart(8)).join("")}`);
    for (const [name, points] of series) {
      const cells = layers.map((layer) => {
        const point = points.find((candidate) => candidate.layer === layer);
        if (point === undefined) return "".padStart(8);
        const mark = point.new_answer === point.base_answer ? "" : "*";
        return `${point.relative_diff.toFixed(1)}${mark}`.padStart(8);
      });
      print(`${name.padEnd(width)}${cells.join("")}`);
    }
    print("* the answer changes");
  }
  print(`\nrun file  ${path}`);
}

function bySeries(results: readonly Result[]): Map<string, Result[]> {
  const series = new Map<string, Result[]>();
  for (const result of results) {
    const points = series.get(result.series);
    if (points === undefined) series.set(result.series, [result]);
    else points.push(result);
  }
  return series;
}
