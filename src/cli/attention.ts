import { InputError } from "../common/errors.ts";
import { positionsOf } from "../prompts/groups.ts";
import type { AttentionReading, MassReading, Tensor } from "../protocol/events.ts";
import { groupTitle } from "../protocol/group-names.ts";
import { tensorNumbers } from "../protocol/tensors.ts";
import { meanMass } from "../runs/mass.ts";
import { foldRun, type RunState } from "../runs/state.ts";
import { OUTPUT_FLAGS, runClip } from "./clip-run.ts";
import type { Command } from "./command.ts";
import { CLIP_FLAGS } from "./job.ts";
import { only } from "./layers.ts";

/** `flowprobe attention`: where a token group looks, layer by layer. */
export const attention: Command = {
  name: "attention",
  summary: "where a token group looks, by layer",
  usage: "VIDEO [--query GROUP] [--heads] …",
  about:
    "Where a token group's queries look (correlation, not cause): the attention they give to each\n" +
    "token group, and to each patch of each frame, by layer.",
  flags: {
    query: {
      kind: "text",
      value: "GROUP",
      help: "last, question, option:A, keyword:<word> … (last)",
    },
    heads: { kind: "flag", help: "each head by itself, not their mean" },
    ...CLIP_FLAGS,
    ...OUTPUT_FLAGS,
  },
  async run(args, terminal) {
    const group = args.text("query") ?? "last";
    const headAveraged = !args.flag("heads");
    const { events, path } = await runClip(args, terminal, () => ({
      observe: { mass: true, attention: "text", headAveraged },
    }));
    const layers = attentionLayers(foldRun(events), group, headAveraged);
    if (args.flag("json")) {
      const { model, video } = only(events, "run.started");
      const report = { model, video: video.path, query: group, headAveraged, layers, out: path };
      terminal.print(JSON.stringify(report, null, 1));
      return;
    }
    printMass(layers, group, (line) => terminal.print(line));
    terminal.print(`run file  ${path}`);
  },
};

interface AttentionLayer {
  readonly layer: number;
  /** Attention to each key group, mean over heads and the group's queries. */
  readonly mass: Readonly<Record<string, number>>;
  /** [heads or 1][video tokens], mean over the group's queries. */
  readonly video: readonly (readonly number[])[];
}

function attentionLayers(run: RunState, group: string, headAveraged: boolean): AttentionLayer[] {
  const groups = run.run?.tokens.groups ?? [];
  const positions = (name: string) =>
    positionsOf(groups.find((found) => found.name === name)?.spans ?? []);
  const queries = new Set(positions(group));
  const video = positions("video");
  return run.layers.flatMap((read, layer) => {
    if (read?.mass === undefined) return [];
    const readings = read.attention.filter((reading) => reading.headAveraged === headAveraged);
    if (readings.length === 0) return [];
    const rowsOf = (reading: AttentionReading) =>
      reading.queries.flatMap((query, row) => (queries.has(query) ? [row] : []));
    const [fullest] = readings
      .map((reading) => ({ reading, rows: rowsOf(reading) }))
      .sort((a, b) => b.rows.length - a.rows.length);
    if (fullest !== undefined && fullest.rows.length > 0) {
      return [layerOf(layer, read.mass, fullest.reading, group, fullest.rows, video)];
    }
    const known = groups.map(({ name }) => name).join(", ");
    throw new InputError(`"${group}" is no token group after the video; the groups are ${known}`);
  });
}

function layerOf(
  layer: number,
  mass: MassReading,
  attention: AttentionReading,
  group: string,
  rows: readonly number[],
  video: Int32Array,
): AttentionLayer {
  const byGroup = mass.keyGroups.map((name) => [name, meanMass(mass, group, name) ?? 0] as const);
  return {
    layer,
    mass: Object.fromEntries(byGroup),
    video: meanRows(attention.weights, rows, video),
  };
}

/** Mean over some query rows of the weights on some keys, for each head of [heads, rows, S]. */
function meanRows(weights: Tensor, rows: readonly number[], keys: Int32Array): number[][] {
  const [heads = 0, count = 0, length = 0] = weights.shape;
  const data = tensorNumbers(weights);
  return Array.from({ length: heads }, (_, h) =>
    Array.from(keys, (key) => {
      const sum = rows.reduce((all, row) => all + (data[(h * count + row) * length + key] ?? 0), 0);
      return sum / rows.length;
    }),
  );
}

function printMass(
  layers: readonly AttentionLayer[],
  group: string,
  print: (line: string) => void,
): void {
  const names = ["system", "video", "question", "last"].filter(
    (name) => layers[0]?.mass[name] !== undefined,
  );
  const frames = Object.keys(layers[0]?.mass ?? {}).filter((name) => name.startsWith("frame:"));
  const columns = [...names, ...frames];
  print(
    `attention of ${groupTitle(group)} to token groups, mean over heads (correlation, not cause)`,
  );
  print(`layer ${columns.map((name) => groupTitle(name).padStart(9)).join("")}`);
  for (const { layer, mass } of layers) {
    const cells = columns.map((name) => (mass[name] ?? 0).toFixed(4).padStart(9)).join("");
    print(`${String(layer + 1).padStart(5)} ${cells}`);
  }
}
