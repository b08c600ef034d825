import { positionsOf } from "../prompts/groups.ts";
import type { LensReading, RunEventOf, RunTokens } from "../protocol/events.ts";
import type { LensOptions } from "../protocol/experiments/schemas.ts";
import { cellOf, tokenOfCell } from "../protocol/grid.ts";
import { foldRun, type RunState } from "../runs/state.ts";
import { coveredFrames } from "../runs/token-frames.ts";
import { UsageError } from "./arguments.ts";
import { OUTPUT_FLAGS, runClip } from "./clip-run.ts";
import type { Command } from "./command.ts";
import { CLIP_FLAGS } from "./job.ts";
import { only } from "./layers.ts";

/** `flowprobe lens`: the words that the video's tokens stand for, layer by layer. */
export const lens: Command = {
  name: "lens",
  summary: "the words that the video's tokens stand for, by layer",
  usage: "VIDEO [--layer N] [--word W …] [--raw] [--embedding] …",
  about:
    "Reads every video token at every layer through the unembedding (correlation, not cause). Shows\n" +
    "the likeliest word of each patch at a layer, and from which layer on words appear.",
  flags: {
    layer: { kind: "whole", value: "N", help: "layer to show, counted from 1 (the last)" },
    word: { kind: "list", value: "W", help: "a word to look for; once for each" },
    raw: { kind: "flag", help: "without the final norm" },
    embedding: { kind: "flag", help: "by the input embedding matrix, not the output head" },
    ...CLIP_FLAGS,
    ...OUTPUT_FLAGS,
  },
  async run(args, terminal) {
    const options = {
      norm: !args.flag("raw"),
      unembedding: args.flag("embedding") ? "embedding" : "head",
    } as const;
    const { events, path } = await runClip(args, terminal, () => ({ observe: { lens: options } }));
    const layers = lensLayers(foldRun(events), options);
    const words = args.list("word").map((word) => wordStory(word, layers));
    if (args.flag("json")) {
      const { model, video } = only(events, "run.started");
      terminal.print(
        JSON.stringify({ model, video: video.path, ...options, layers, words, out: path }, null, 1),
      );
      return;
    }
    const shown = (args.number("layer") ?? layers.length) - 1;
    const layer = layers[shown];
    if (layer === undefined) {
      throw new UsageError(`--layer is ${shown + 1}; the model has layers 1-${layers.length}`);
    }
    printGrid(only(events, "run.started"), layer, (line) => terminal.print(line));
    for (const { word, firstLayer, counts } of words) {
      const from = firstLayer === null ? "never" : `from layer ${firstLayer + 1}`;
      terminal.print(
        `${JSON.stringify(word)} is likeliest ${from}; patches by layer: ${counts.join(" ")}`,
      );
    }
    terminal.print(`run file  ${path}`);
  },
};

/** The lens of all video tokens after one layer. */
interface LensLayer {
  readonly layer: number;
  readonly tokens: readonly {
    readonly position: number;
    readonly frame: number;
    readonly row: number;
    readonly column: number;
    readonly top: readonly { readonly token: string; readonly probability: number }[];
  }[];
}

function lensLayers(run: RunState, { norm, unembedding }: LensOptions): LensLayer[] {
  const grid = run.run?.tokens.grid;
  if (grid === undefined) return [];
  return run.layers.flatMap((read, layer) => {
    const reading = read?.lens.find(
      (lens) => lens.norm === norm && lens.unembedding === unembedding,
    );
    return reading === undefined ? [] : [{ layer, tokens: lensTokens(reading, grid, run) }];
  });
}

function lensTokens(
  { positions, ids, probabilities }: LensReading,
  grid: RunTokens["grid"],
  run: RunState,
): LensLayer["tokens"] {
  const k = ids.shape[1] ?? 0;
  const places = positionsOf(positions);
  return Array.from({ length: ids.shape[0] ?? 0 }, (_, i) => ({
    position: places[i] ?? 0,
    ...cellOf(grid, i),
    top: Array.from({ length: k }, (_, rank) => {
      const id = ids.data[i * k + rank] ?? 0;
      return {
        token: run.tokenText(id),
        probability: probabilities.data[i * k + rank] ?? 0,
      };
    }),
  }));
}

/** In how many patches a word is the likeliest at each layer, and the first layer where it is in one. */
function wordStory(word: string, layers: readonly LensLayer[]) {
  const wanted = word.trim().toLowerCase();
  const counts = layers.map(
    ({ tokens }) =>
      tokens.filter(({ top }) => top[0]?.token.trim().toLowerCase() === wanted).length,
  );
  const first = counts.findIndex((count) => count > 0);
  return { word, firstLayer: first < 0 ? null : first, counts };
}

function printGrid(
  { video, tokens: { grid } }: RunEventOf<"run.started">,
  { layer, tokens }: LensLayer,
  print: (line: string) => void,
): void {
  const words = tokens.map(({ top }) => (top[0]?.token ?? "").trim().slice(0, 10));
  const width = Math.max(...words.map((word) => word.length)) + 1;
  print(`likeliest word of each patch after layer ${layer + 1}`);
  for (let frame = 0; frame < grid.frames; frame++) {
    print(coveredFrames(frame, grid.frames, video.frames.length).toLowerCase());
    for (let row = 0; row < grid.rows; row++) {
      const at = (frame * grid.rows + row) * grid.columns;
      print(
        `  ${Array.from({ length: grid.columns }, (_, column) =>
          (words[tokenOfCell(grid, at + column)] ?? "").padEnd(width),
        ).join("")}`.trimEnd(),
      );
    }
  }
}
