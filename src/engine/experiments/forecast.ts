import type { EventSink } from "../../protocol/events.ts";
import type { DecoderSpec } from "../families/shared/spec.ts";
import type { OpenModel } from "../runtime/model.ts";
import { type PassForecast, total } from "../trace/memory.ts";

/** Work that takes longer, or more working memory, is announced. */
const LONG_SECONDS = 30;
const MUCH_BYTES = 1.5e9;
/** Multiply-adds a second that every machine reaches: for less work the pace need not be measured. */
const LEAST_PACE = 2e9;

/** What a run of the decoder does beside its branches. */
export interface RunForecast {
  /** Whether the clean rows go through the layers once alone, so that their charts fill first. */
  readonly cleanFirst: boolean;
  /** Multiply-adds of all passes, and of reading the clean run's layers. */
  readonly multiplyAdds: number;
}

/**
 * Adds to branches what observing the clean run costs.
 *
 * @param lensRows positions whose lens is read at every layer; absent: the run is not observed.
 */
export function forecastRun(
  decoder: DecoderSpec,
  { work, clean, multiplyAdds }: PassForecast,
  lensRows: number | undefined,
): RunForecast {
  if (lensRows === undefined) return { cleanFirst: false, multiplyAdds };
  const cleanFirst = total(work) > 2 * clean;
  const reading = decoder.layers.length * lensRows * decoder.vocabSize * decoder.hiddenSize;
  return { cleanFirst, multiplyAdds: multiplyAdds + reading + (cleanFirst ? clean : 0) };
}

/** What is about to be spent. */
export interface CostEstimate {
  readonly multiplyAdds: number;
  /** The process's anonymous memory. */
  readonly bytes: number;
  /** What it may take. */
  readonly budgetBytes: number;
  /** Whether the work is what it will be, or what it can be. */
  readonly bound?: "about" | "at most about";
}

/** Says what is about to be spent, when it is much, or more memory than the budget allows. */
export async function reportForecast(
  model: OpenModel,
  { multiplyAdds, bytes, budgetBytes, bound = "about" }: CostEstimate,
  sink: EventSink,
): Promise<void> {
  const over = bytes > budgetBytes;
  const much = over || bytes >= MUCH_BYTES;
  if (!much && multiplyAdds < LONG_SECONDS * LEAST_PACE) return;
  const seconds = multiplyAdds / (await model.pace());
  if (!much && seconds < LONG_SECONDS) return;
  const time = seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
  const giga = (count: number) => `${(count / 1e9).toFixed(1)} GB`;
  sink({
    type: "notice",
    level: over ? "warning" : "info",
    message:
      `forecast: ${bound} ${time} and up to ${giga(bytes)} of memory` +
      (over ? `, more than the memory budget of ${giga(budgetBytes)}` : ""),
  });
}
