import type { Flags, ParsedArguments } from "./arguments.ts";

/** Where a command writes, and how it is stopped. */
export interface Terminal {
  /** Results, a line at a time. */
  print(line: string): void;
  /** Progress on a terminal: replaces the line written by it before; nothing elsewhere. */
  status(text: string): void;
  /** Remarks that are no results. */
  note(line: string): void;
  readonly signal: AbortSignal;
}

/** One command of the command line. */
export interface Command {
  readonly name: string;
  /** What it is for, in a few words. */
  readonly summary: string;
  /** What stands after the command's name. */
  readonly usage: string;
  readonly about: string;
  readonly flags: Flags;
  /** What a user who stops it is told; that the run file keeps what was found, without it. */
  readonly cancelled?: string;
  /** @throws UsageError, InputError, ModelError, CancelledError; each has its exit code. */
  run(args: ParsedArguments, terminal: Terminal): Promise<void>;
}
