import type { EventSink } from "../../runs/events.ts";
import type { OpenModel } from "../runtime/model.ts";

/** Work that takes longer, or more working memory, is announced. */
const LONG_SECONDS = 30;
const MUCH_BYTES = 1.5e9;
/** Multiply-adds a second that every machine reaches: for less work the pace need not be measured. */
const LEAST_PACE = 2e9;

/**
 * Says what is about to be spent, when it is much.
 *
 * @param bytes working memory beside the mapped weights.
 * @param bound whether the work is what it will be, or what it can be.
 */
export async function tellForecast(
  model: OpenModel,
  multiplyAdds: number,
  bytes: number,
  sink: EventSink,
  bound: "about" | "at most about" = "about",
): Promise<void> {
  if (multiplyAdds < LONG_SECONDS * LEAST_PACE && bytes < MUCH_BYTES) return;
  const seconds = multiplyAdds / (await model.pace());
  if (seconds < LONG_SECONDS && bytes < MUCH_BYTES) return;
  const time = seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
  sink({
    type: "notice",
    level: "info",
    message: `forecast: ${bound} ${time} and up to ${(bytes / 1e9).toFixed(1)} GB of working memory`,
  });
}
