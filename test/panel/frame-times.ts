import type { Page } from "playwright-core";
import type { PanelBrowser } from "./browser.ts";

/** How smooth the page was while something was done to it, in milliseconds. */
export interface FrameTimes {
  /**
   * The costliest frame: all that the page's main thread, the compositor and the threads that raster
   * did from one animation frame to the next, added up. In processor time, so that what else the
   * machine does is not counted; and added up, though part of it runs at once, so that it is never less
   * than the frame takes by itself.
   */
  readonly costliest: number;
  /** Of the main thread alone. */
  readonly costliestMain: number;
  /** Wall time between animation frames: median, 95th percentile, longest. */
  readonly median: number;
  readonly p95: number;
  readonly longest: number;
  readonly frames: number;
}

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** Threads that make a frame, by their names in a trace. */
const MAIN = "CrRendererMain";
const DRAWING = /^(CrRendererMain|Compositor|CompositorTileWorker|VizCompositorThread|CrGpuMain)/;

/** Does something while Chromium's tracer watches, and adds up what each frame took. */
export async function frameTimes(
  browser: PanelBrowser,
  page: Page,
  act: () => Promise<void>,
): Promise<FrameTimes> {
  await page.evaluate(() => window.fakeWindow.watchFrames());
  await browser.browser.startTracing(page, { categories: ["toplevel", "devtools.timeline"] });
  await act();
  const buffer = await browser.browser.stopTracing();
  const deltas = (await page.evaluate(() => window.fakeWindow.frameDeltas())).sort((a, b) => a - b);
  const { traceEvents } = JSON.parse(buffer.toString()) as { traceEvents: TraceEvent[] };
  const { all, main } = costs(traceEvents);
  if (all.length === 0) throw new Error("the trace holds no animation frame of a page");
  const at = (share: number) =>
    deltas[Math.min(deltas.length - 1, Math.floor(deltas.length * share))];
  return {
    costliest: Math.max(...all),
    costliestMain: Math.max(...main),
    median: at(0.5) ?? 0,
    p95: at(0.95) ?? 0,
    longest: deltas.at(-1) ?? 0,
    frames: all.length,
  };
}

/** Milliseconds of processor time from each animation frame to the next, of all threads and of one. */
function costs(events: readonly TraceEvent[]): { all: number[]; main: number[] } {
  const threads = new Map(
    events
      .filter(({ name }) => name === "thread_name")
      .map(({ pid, tid, args }) => [`${pid}/${tid}`, args?.name ?? ""]),
  );
  const begins = events
    .filter(({ name }) => name === "FireAnimationFrame")
    .map(({ ts }) => ts)
    .sort((a, b) => a - b);
  // Several callbacks of one frame begin together.
  const frames = begins.filter((ts, i) => i === 0 || ts - (begins[i - 1] ?? 0) > SAME_FRAME_US);
  const all = new Array<number>(Math.max(0, frames.length - 1)).fill(0);
  const main = [...all];
  for (const { name, ph, pid, tid, ts, tdur = 0 } of events) {
    if (ph !== "X" || !name.endsWith("RunTask")) continue;
    const thread = threads.get(`${pid}/${tid}`) ?? "";
    if (!DRAWING.test(thread)) continue;
    const frame = frames.findLastIndex((begin) => begin <= ts + SAME_FRAME_US);
    if (frame < 0 || frame >= all.length) continue;
    all[frame] = (all[frame] ?? 0) + tdur / 1000;
    if (thread === MAIN) main[frame] = (main[frame] ?? 0) + tdur / 1000;
  }
  return { all, main };
}

/** Callbacks of one frame begin within this; frames are at least eight times as far apart. */
const SAME_FRAME_US = 2_000;
