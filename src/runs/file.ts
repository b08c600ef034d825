import type { FileHandle } from "node:fs/promises";
import { CancelledError, InputError } from "../common/errors.ts";
import { fileFailure, systemCode } from "../common/file-failure.ts";
import { openRegular } from "../common/regular-file.ts";
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
 * @throws InputError when it cannot be read, or holds no run; CancelledError when stopped.
 */
export async function readRunFile(path: string, signal?: AbortSignal): Promise<ReadRun> {
  const problems: string[] = [];
  const events: RunEvent[] = [];
  for await (const event of readRunEvents(path, problems)) {
    if (signal?.aborted === true) throw new CancelledError();
    events.push(event);
  }
  return { events, problems };
}

/**
 * What a path holds: `absent`, a `run`, something `other`, or a run that was stopped before its first
 * event was whole (`unstarted`): nothing, or the beginning of that event.
 */
export type FileStart = "absent" | "unstarted" | "run" | "other";

/** How the first event of every run file begins. */
const FIRST_BYTES = '{"type":"run.started"';

/**
 * Says what a path holds, from its first line.
 *
 * @throws InputError when it cannot be opened or read.
 */
export async function fileStart(path: string): Promise<FileStart> {
  try {
    const { handle: file } = await openRegular(path);
    try {
      const head = Buffer.alloc(FIRST_BYTES.length);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      const text = head.toString("utf8", 0, bytesRead);
      if (FIRST_BYTES.startsWith(text)) {
        if (bytesRead < head.length) return "unstarted";
        if (!(await hasLineBreak(file)) && (await firstEvent(path)) === undefined) {
          return "unstarted";
        }
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "absent";
    throw error instanceof InputError ? error : fileFailure(path, "cannot be read", error);
  }
  return (await firstEvent(path))?.type === "run.started" ? "run" : "other";
}

async function hasLineBreak(file: FileHandle): Promise<boolean> {
  const buffer = Buffer.alloc(1 << 16);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return false;
    if (buffer.subarray(0, bytesRead).includes(0x0a)) return true;
    at += bytesRead;
  }
}

/**
 * The event of a file's first line; undefined when it is none.
 *
 * @throws InputError when the file cannot be read.
 */
export async function firstEvent(path: string): Promise<RunEvent | undefined> {
  for await (const line of readEvents(path)) return line.kind === "event" ? line.event : undefined;
  return undefined;
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    const { handle } = await openRegular(path);
    for await (const chunk of handle.createReadStream()) yield chunk;
  } catch (error) {
    throw fileFailure(path, "the run cannot be read", error);
  }
}
