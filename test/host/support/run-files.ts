import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { RunEvent, RunEventOf, RunEventType } from "../../../src/protocol/events.ts";
import { RUN_FILE_SUFFIX, readRunFile } from "../../../src/runs/file.ts";

/** Run files of a workspace, in the order of their names. */
export function runFiles(workspace: string): string[] {
  const folder = join(workspace, "flowprobe-runs");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(RUN_FILE_SUFFIX))
    .sort()
    .map((name) => join(folder, name));
}

/** Events of the only run file of a clip. */
export async function eventsOfClip(workspace: string, clip: string): Promise<readonly RunEvent[]> {
  const files = runFiles(workspace).filter((file) => file.includes(`/${clip}.`));
  const [file] = files;
  if (file === undefined || files.length > 1) throw new Error(`runs of ${clip}: ${files.join()}`);
  return (await readRunFile(file)).events;
}

export function eventsOf<T extends RunEventType>(
  events: readonly RunEvent[],
  type: T,
): RunEventOf<T>[] {
  return events.filter((event): event is RunEventOf<T> => event.type === type);
}
