import type { RunEvent } from "../src/protocol/events.ts";
import type { HostMessage } from "../src/protocol/panel.ts";

type EventsMessage = Extract<HostMessage, { kind: "events" }>;

/**
 * The part of a batch that the panel has not seen, or "gap" when batches before it are missing (a
 * hidden webview loses messages). `next` is the index of the first event not yet folded.
 */
export function unseen(message: EventsMessage, next: number): readonly RunEvent[] | "gap" {
  if (message.from > next) return "gap";
  return message.events.slice(next - message.from);
}
