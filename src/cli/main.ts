#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { CancelledError, InputError, ModelError } from "../common/errors.ts";
import { EngineDiedError } from "../engine/service/died.ts";
import { analyze } from "./analyze.ts";
import { flagHelp, ParsedArguments, UsageError } from "./arguments.ts";
import { attention } from "./attention.ts";
import type { Command, Terminal } from "./command.ts";
import { compare } from "./compare.ts";
import { dataset } from "./dataset.ts";
import { downloadModel } from "./download.ts";
import { experimentCommands } from "./experiments/commands.ts";
import { exportRun } from "./export.ts";
import { lens } from "./lens.ts";
import { model } from "./model.ts";
import { packageFolder } from "./places.ts";
import { study } from "./study/study.ts";

const COMMANDS: readonly Command[] = [
  analyze,
  model,
  downloadModel,
  ...experimentCommands(),
  lens,
  attention,
  compare,
  dataset,
  study,
  exportRun,
];

/** Exit codes that scripts can rely on. */
const EXIT = { fine: 0, bug: 1, usageOrInput: 2, model: 3, cancelled: 4 } as const;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version") {
    process.stdout.write(`${await version()}\n`);
    return EXIT.fine;
  }
  if (name === undefined || isHelp(name) || name === "help") {
    const asked = name !== undefined;
    (asked ? process.stdout : process.stderr).write(`${overview()}\n`);
    return asked ? EXIT.fine : EXIT.usageOrInput;
  }
  const command = COMMANDS.find((known) => known.name === name);
  if (command === undefined) {
    process.stderr.write(`flowprobe: there is no command "${name}"\n\n${overview()}\n`);
    return EXIT.usageOrInput;
  }
  if (rest.some(isHelp)) {
    process.stdout.write(`${helpOf(command)}\n`);
    return EXIT.fine;
  }
  const stop = new AbortController();
  const interrupt = () => {
    // The second time, the user does not want to wait for a graceful end.
    if (stop.signal.aborted) process.exit(EXIT.cancelled);
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Those of the launcher, which were for the time until here.
    process.removeAllListeners(signal);
    process.on(signal, interrupt);
  }
  const terminal = makeTerminal(stop.signal);
  try {
    await command.run(new ParsedArguments(rest, command.flags), terminal);
    return EXIT.fine;
  } catch (error) {
    terminal.status("");
    return tellError(command, error);
  }
}

function tellError(command: Command, error: unknown): number {
  const say = (text: string) => process.stderr.write(`flowprobe: ${text}\n`);
  if (error instanceof UsageError) {
    say(`${error.message}\ntry: flowprobe ${command.name} --help`);
    return EXIT.usageOrInput;
  }
  if (error instanceof InputError) {
    say(error.message);
    return EXIT.usageOrInput;
  }
  if (error instanceof ModelError) {
    say(error.message);
    return EXIT.model;
  }
  if (error instanceof CancelledError) {
    say(command.cancelled ?? "cancelled; what was found until then is in the run file");
    return EXIT.cancelled;
  }
  if (error instanceof EngineDiedError) say(error.message);
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.bug;
}

function isHelp(argument: string): boolean {
  return argument === "--help" || argument === "-h";
}

async function version(): Promise<string> {
  const manifest: unknown = JSON.parse(
    await readFile(join(packageFolder(), "package.json"), "utf8"),
  );
  const { version: found } = z.object({ version: z.string() }).parse(manifest);
  return found;
}

function overview(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`);
  return (
    "flowprobe: look inside Video Large Language Models\n\n" +
    `${lines.join("\n")}\n\nflowprobe COMMAND --help says more.\n` +
    "Exit codes: 0 fine, 1 a bug, 2 bad usage or input, 3 bad model, 4 cancelled."
  );
}

function helpOf(command: Command): string {
  return `flowprobe ${command.name} ${command.usage}\n\n${command.about}\n\n${flagHelp(command.flags)}`;
}

function makeTerminal(signal: AbortSignal): Terminal {
  const onTerminal = process.stderr.isTTY === true;
  const status = (text: string) => {
    if (onTerminal) process.stderr.write(`\r\u001b[K${text}`);
  };
  return {
    signal,
    status,
    print: (line) => {
      status("");
      process.stdout.write(`${line}\n`);
    },
    note: (line) => {
      status("");
      process.stderr.write(`note: ${line}\n`);
    },
  };
}

// A reader that has enough, such as `head`, closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? EXIT.fine : EXIT.bug);
});
process.exitCode = await main(process.argv.slice(2));
