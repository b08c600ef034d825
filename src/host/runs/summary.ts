import { open } from "node:fs/promises";
import { basename } from "node:path";
import type { CounterfactualOrder } from "../../protocol/events.ts";
import { decodeEvent } from "../../runs/codec.ts";
import { RUN_FILE_SUFFIX } from "../../runs/file.ts";

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
const HEAD_BYTES = 4_000_000;
/** `run.finished` is short and last. */
const TAIL_BYTES = 65_536;

/** Title of a run: its file's name without the suffix. */
export function runTitle(file: string): string {
  const name = basename(file);
  return name.endsWith(RUN_FILE_SUFFIX) ? name.slice(0, -RUN_FILE_SUFFIX.length) : name;
}

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
    const head = await slice(handle, 0, Math.min(size, TAIL_BYTES));
    const first = head.includes("\n") ? head : await slice(handle, 0, Math.min(size, HEAD_BYTES));
    const started = parseEvent(first.split("\n", 1)[0] ?? "");
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

async function slice(
  handle: Awaited<ReturnType<typeof open>>,
  from: number,
  to: number,
): Promise<string> {
  const buffer = Buffer.alloc(to - from);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
  return buffer.toString("utf8", 0, bytesRead);
}
