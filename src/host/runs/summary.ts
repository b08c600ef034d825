import { type FileHandle, open } from "node:fs/promises";
import type { CounterfactualOrder } from "../../protocol/vocabulary.ts";
import { decodeEvent } from "../../runs/codec.ts";
import { runTitle } from "../../runs/names.ts";

/** What a list of runs shows of one run file. */
export interface RunSummary {
  readonly file: string;
  /** The file's name without its suffix. */
  readonly title: string;
  readonly video: string;
  /** Order of the frames of a counterfactual clip; null for a clip as filmed. */
  readonly order: CounterfactualOrder | null;
  readonly question: string;
  readonly model: string;
  /** When the run was started, as ISO 8601. */
  readonly time: string;
  readonly status: "done" | "cancelled" | "failed" | "unfinished";
}

/** The first event holds the prompt's tokens: far below this even for very long prompts. */
const HEAD_BYTES = 16_000_000;
/** It is read in parts of this size, until its line ends. */
const PART_BYTES = 262_144;
/** `run.finished` is short and last. */
const TAIL_BYTES = 65_536;
const LINE_FEED = 0x0a;

function parseEvent(line: string) {
  const decoded = decodeEvent(line);
  return decoded.kind === "event" ? decoded.event : undefined;
}

/**
 * Reads the two ends of a run file; null when it does not begin as one. Never rejects: a list of
 * runs leaves out what it cannot read.
 */
export async function summarizeRun(file: string): Promise<RunSummary | null> {
  const handle = await open(file).catch(() => null);
  if (handle === null) return null;
  try {
    const { size } = await handle.stat();
    const started = parseEvent(await firstLine(handle));
    if (started?.type !== "run.started") return null;
    const tail = await slice(handle, Math.max(0, size - TAIL_BYTES), size);
    const finished = tail
      .split("\n")
      .filter((line) => line.startsWith('{"type":"run.finished"'))
      .map(parseEvent)
      .at(-1);
    return {
      file,
      title: runTitle(file),
      video: started.video.path,
      order: started.video.order ?? null,
      question: started.prompt.question,
      model: started.model.name,
      time: started.time,
      status: finished?.type === "run.finished" ? finished.status : "unfinished",
    };
  } catch {
    return null;
  } finally {
    await handle.close();
  }
}

/** A file's first line, as far as `HEAD_BYTES`. */
async function firstLine(handle: FileHandle): Promise<string> {
  const parts: Buffer[] = [];
  for (let at = 0; at < HEAD_BYTES; ) {
    const buffer = Buffer.alloc(Math.min(PART_BYTES, HEAD_BYTES - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    const end = buffer.subarray(0, bytesRead).indexOf(LINE_FEED);
    parts.push(buffer.subarray(0, end < 0 ? bytesRead : end));
    if (end >= 0 || bytesRead === 0) break;
    at += bytesRead;
  }
  return Buffer.concat(parts)
    .toString("utf8")
    .replace(/^\uFEFF/, "");
}

async function slice(handle: FileHandle, from: number, to: number): Promise<string> {
  const buffer = Buffer.alloc(to - from);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
  return buffer.toString("utf8", 0, bytesRead);
}
