import { formatBytes } from "../../common/format-size.ts";
import type { RunEvent } from "../../protocol/events.ts";
import { weight } from "../panel/event-batches.ts";

/** Events travel in messages of about this size. */
const BATCH_BYTES = 4_000_000;
const BATCH_EVENTS = 1_000;

/** What one run may bring into the extension host. */
export interface RunRoom {
  readonly bytes: number;
  readonly events: number;
}

/** A recorded analysis of a 7B model with its lens takes some tens of megabytes. */
const ROOM: RunRoom = { bytes: 1_000_000_000, events: 1_000_000 };

/**
 * Gathers a run's events into batches, as many as there is room for; `problems` says when there are
 * more.
 */
export async function* boundedBatches(
  events: AsyncIterable<RunEvent>,
  problems: string[],
  room: RunRoom = ROOM,
): AsyncGenerator<RunEvent[]> {
  let batch: RunEvent[] = [];
  let batchBytes = 0;
  let bytes = 0;
  let count = 0;
  for await (const event of events) {
    const added = weight(event);
    if (bytes + added > room.bytes || count === room.events) {
      problems.push(
        `the run holds more than ${formatBytes(room.bytes)} or ${room.events} events; ` +
          "what comes after them is not shown",
      );
      break;
    }
    batch.push(event);
    bytes += added;
    batchBytes += added;
    count += 1;
    if (batchBytes < BATCH_BYTES && batch.length < BATCH_EVENTS) continue;
    yield batch;
    batch = [];
    batchBytes = 0;
  }
  if (batch.length > 0) yield batch;
}
