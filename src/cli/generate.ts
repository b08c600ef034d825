import type { RunEvent } from "../protocol/events.ts";
import { parseLayerRange } from "../protocol/presets.ts";
import type { GenerationCut } from "../protocol/requests.ts";
import { UsageError } from "./arguments.ts";
import { OUTPUT_FLAGS, runClip } from "./clip-run.ts";
import type { Command } from "./command.ts";
import { CLIP_FLAGS, modelFolder } from "./job.ts";
import { only } from "./layers.ts";
import { keptRanges, PATHWAY_FLAGS } from "./pathway-flags.ts";

const DEFAULT_TOKENS = 32;

/** `flowprobe generate`: the answer in words, clean and under cuts. */
export const generate: Command = {
  name: "generate",
  summary: "the answer in words, clean and under cuts",
  usage: "VIDEO [--cut FROM:TO[:A-B] …] [--preset NAME | --keep RANGES] …",
  about:
    "Decodes the answer greedily, clean and with cuts in force at every step. A cut goes from a token\n" +
    "group to another (video:last, question:last, cross-frame:cross-frame), over layers counted from 1.",
  flags: {
    "max-tokens": { kind: "whole", value: "N", help: `tokens at most (${DEFAULT_TOKENS})` },
    cut: { kind: "list", value: "FROM:TO[:A-B]", help: "a cut; once for each" },
    ...PATHWAY_FLAGS,
    ...CLIP_FLAGS,
    ...OUTPUT_FLAGS,
  },
  async run(args, terminal) {
    const maxTokens = args.number("max-tokens") ?? DEFAULT_TOKENS;
    if (maxTokens < 1) throw new UsageError("--max-tokens is 0; at least one token is needed");
    const kept = args.has("preset") || args.has("keep") ? keptRanges(args) : undefined;
    const { events, path } = await runClip(args, terminal, async (client) => {
      const { layers } = await client.describe(modelFolder(args).folder);
      const cuts = args.list("cut").map((text) => parseCut(text, layers));
      if (kept !== undefined) {
        cuts.push({ name: "Effective pathways", pathways: kept(layers, terminal) });
      }
      return { experiments: [{ kind: "generation", maxTokens, cuts }] };
    });
    const answers = answersOf(events);
    if (args.flag("json")) {
      const { model, video, prompt } = only(events, "run.started");
      const report = { model, video: video.path, prompt: prompt.text, answers, out: path };
      terminal.print(JSON.stringify(report, null, 2));
      return;
    }
    const width = Math.max(...answers.map(({ series }) => series.length));
    for (const { series, text } of answers) terminal.print(`${series.padEnd(width)}  ${text}`);
    terminal.print(`\nrun file  ${path}`);
  },
};

function parseCut(text: string, layers: number): GenerationCut {
  // Group names hold colons themselves (option:A, frame:0), so the layers are taken from the end.
  const [, groups, range] = text.match(/^(.*?)(?::(\d+(?:-\d+)?))?$/) ?? [];
  const named = groups?.match(
    /^((?:frame|option|keyword):[^:]+|[^:]+):((?:frame|option|keyword):[^:]+|[^:]+)$/,
  );
  const [, from, to] = named ?? [];
  if (from === undefined || to === undefined) {
    throw new UsageError(`--cut is "${text}"; write FROM:TO or FROM:TO:A-B, as video:last:1-12`);
  }
  return {
    name: from === to ? `No ${from}` : `${from} -/-> ${to}`,
    from,
    to,
    layers: range === undefined ? [0, layers - 1] : parseLayerRange(range),
  };
}

/** Each run's tokens and text, in the order in which they first spoke. */
function answersOf(events: readonly RunEvent[]) {
  const answers = new Map<
    string,
    { series: string; text: string; tokens: { token: string; probability: number }[] }
  >();
  for (const event of events) {
    if (event.type !== "generation.token") continue;
    const { series, token, text } = event;
    const answer = answers.get(series) ?? { series, text, tokens: [] };
    answer.text = text;
    answer.tokens.push({ token: token.token, probability: token.probability });
    answers.set(series, answer);
  }
  return [...answers.values()];
}
