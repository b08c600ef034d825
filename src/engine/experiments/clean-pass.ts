import type { EventSink } from "../../protocol/events.ts";
import type { KeptRun } from "../clean-cache/kept-run.ts";
import { DamagedRecord } from "../clean-cache/record.ts";
import type { PassRequest } from "../trace/pass-request.ts";

/** Where a pass takes its clean rows from, or puts them. */
export type CleanSource = Pick<PassRequest, "kept" | "keep">;

/**
 * Makes a pass from the clean run that was kept, or else keeps the one that it computes. A kept run
 * that proves damaged is given up, and the pass made anew.
 *
 * @param usable whether what is asked can be had without computing the clean rows.
 */
export async function passWithKept(
  clean: KeptRun | undefined,
  usable: boolean,
  sink: EventSink,
  pass: (source: CleanSource) => Promise<void>,
): Promise<void> {
  if (clean === undefined) return pass({});
  if (usable && clean.record !== undefined) {
    try {
      return await pass({ kept: clean.record });
    } catch (error) {
      if (!(error instanceof DamagedRecord)) throw error;
      await clean.drop();
      const message = "the clean run that was kept is damaged; it is computed again";
      sink({ type: "notice", level: "info", message });
    }
  }
  const message = await clean.keep((keep) => pass({ keep }));
  if (message !== undefined) sink({ type: "notice", level: "info", message });
}
