import type { ExperimentDescriptor } from "../../protocol/experiments/descriptor.ts";
import { descriptorOf, EXPERIMENTS } from "../../protocol/experiments/list.ts";
import type { ExperimentKind, ExperimentRequest } from "../../protocol/experiments/schemas.ts";
import type { Flags, ParsedArguments } from "../arguments.ts";
import { OUTPUT_FLAGS, runClip } from "../clip-run.ts";
import type { Command, Terminal } from "../command.ts";
import { CLIP_FLAGS, modelFolder } from "../job.ts";
import { chosenKind, experimentFlags, requestOf } from "./flags.ts";
import { experimentReport, printExperiment } from "./report.ts";

/** One command for each kind of experiment; kinds that share one are told apart by a flag. */
export function experimentCommands(): Command[] {
  const byName = new Map<string, ExperimentDescriptor[]>();
  for (const kind of Object.keys(EXPERIMENTS) as ExperimentKind[]) {
    const descriptor = descriptorOf(kind) as ExperimentDescriptor;
    byName.set(descriptor.command, [...(byName.get(descriptor.command) ?? []), descriptor]);
  }
  return [...byName.values()].map(commandOf);
}

function commandOf(sharing: readonly ExperimentDescriptor[]): Command {
  const main = sharing.find(({ commandFlag }) => commandFlag === undefined) ?? sharing[0];
  if (main === undefined) throw new Error("a command needs a kind of experiment");
  const flags: Flags = Object.assign({}, ...sharing.map(flagsOf));
  const shown = Object.entries(flags).filter(
    ([name]) => experimentFlags(main.kind)[name] !== undefined,
  );
  return {
    name: main.command,
    summary: main.summary,
    usage: `VIDEO ${shown.map(([name, { value }]) => `[--${name}${value === undefined ? "" : ` ${value}`}]`).join(" ")} …`,
    about: main.about,
    flags: { ...flags, ...CLIP_FLAGS, ...OUTPUT_FLAGS },
    run: (args, terminal) => runExperiment(chosenKind(sharing, args), args, terminal),
  };
}

/** The flags of a kind, and the one that chooses it. */
function flagsOf({ kind, commandFlag, summary }: ExperimentDescriptor): Flags {
  const choosing: Flags =
    commandFlag === undefined ? {} : { [commandFlag]: { kind: "flag", help: summary } };
  return { ...choosing, ...experimentFlags(kind) };
}

async function runExperiment(
  kind: ExperimentKind,
  args: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  const requests: ExperimentRequest[] = [];
  const { events, path } = await runClip(args, terminal, async (client, { prompt }) => {
    const { layers } = await client.describe(modelFolder(args).folder);
    requests.push(requestOf(kind, args, { prompt, layers }, terminal));
    return { experiments: requests };
  });
  const [request] = requests;
  if (request === undefined) throw new Error("no experiment was planned");
  if (args.flag("json")) {
    terminal.print(JSON.stringify(experimentReport(events, request, path), null, 2));
    return;
  }
  for (const line of printExperiment(events, request)) terminal.print(line);
  terminal.print(`\nrun file  ${path}`);
}
