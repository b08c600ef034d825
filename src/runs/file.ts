import { createReadStream } from "node:fs";
import { InputError } from "../common/errors.ts";
import { fileFailure } from "../common/file-failure.ts";
import type { RunEvent } from "../protocol/events.ts";
import { RunCheck } from "./check.ts";
import { decodeEvent, newerVersion } from "./codec.ts";
import { splitLines } from "./lines.ts";

export { RUN_FILE_SUFFIX } from "./names.ts";

/**
 * Longest line that is read, in bytes: far above any event of ours (attention rows of every head of a
 * 10,000-token prompt included), and below the longest string of V8 (512 MB).
 */
export const MAX_LINE_BYTES = 256 * 1024 * 1024;

/** Problems kept of one file: a file that is damaged all over needs no more to be understood. */
const MAX_PROBLEMS = 100;

/** One line of a run file: its event, or what is wrong with it. */
export type RunLine =
  | { readonly kind: "event"; readonly line: number; readonly event: RunEvent }
  | { readonly kind: "problem"; readonly line: number; readonly message: string };

/** A run file's events in order, and what could not be read, in sentences that name the line. */
export interface ReadRun {
  readonly events: readonly RunEvent[];
  readonly problems: readonly string[];
}

/**
 * Reads a run file line by line. A malformed, hostile, overlong or unknown line, and a last line that
 * was cut off, becomes a problem; everything else is kept.
 *
 * @throws InputError when the file cannot be opened or read.
 */
export async function* readEvents(
  path: string,
  options: { readonly maxLineBytes?: number } = {},
): AsyncGenerator<RunLine> {
  const chunks = readChunks(path);
  const check = new RunCheck();
  for await (const found of splitLines(chunks, options.maxLineBytes ?? MAX_LINE_BYTES)) {
    const line = found.number;
    if (found.kind === "too-long") {
      yield { kind: "problem", line, message: "is too long to be an event" };
      continue;
    }
    // A byte-order mark, as some editors leave one.
    const text = line === 1 ? found.text.replace(/^\uFEFF/, "") : found.text;
    if (text.trim() === "") continue;
    const decoded = decodeEvent(text);
    if (decoded.kind === "event") {
      const misfit = check.problem(decoded.event);
      if (misfit !== undefined) {
        yield { kind: "problem", line, message: misfit };
        continue;
      }
      yield { kind: "event", line, event: decoded.event };
      const newer = newerVersion(decoded.event);
      if (newer !== undefined) yield { kind: "problem", line, message: newer };
    } else if (found.ended) {
      yield { kind: "problem", line, message: decoded.message };
    } else {
      yield { kind: "problem", line, message: "is cut off: the run was stopped while writing it" };
    }
  }
}

/**
 * Reads a run file's events one after another; what could not be read is added to `problems`.
 *
 * @throws InputError when it cannot be read, or holds no run; then at its end.
 */
export async function* readRunEvents(path: string, problems: string[]): AsyncGenerator<RunEvent> {
  let started = false;
  let more = 0;
  for await (const found of readEvents(path)) {
    if (found.kind === "event") {
      started ||= found.event.type === "run.started";
      yield found.event;
    } else if (problems.length < MAX_PROBLEMS) {
      problems.push(`line ${found.line} ${found.message}`);
    } else more++;
  }
  if (more > 0) problems.push(`${more} further lines could not be read`);
  if (started) return;
  const why = problems[0] === undefined ? "it has no event that starts a run" : problems[0];
  throw new InputError(`${path}: not a Flowprobe run: ${why}`);
}

/**
 * Reads a whole run file.
 *
 * @throws InputError when it cannot be read, or holds no run.
 */
export async function readRunFile(path: string): Promise<ReadRun> {
  const problems: string[] = [];
  const events: RunEvent[] = [];
  for await (const event of readRunEvents(path, problems)) events.push(event);
  return { events, problems };
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path)) yield chunk;
  } catch (error) {
    throw fileFailure(path, "the run cannot be read", error);
  }
}
