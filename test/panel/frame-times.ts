import type { Page } from "playwright-core";
import type { PanelBrowser } from "./browser.ts";

/** How smooth the page was while something was done to it, in milliseconds. */
export interface FrameTimes {
  /** Longest task of the page's main thread, in processor time of that thread. */
  readonly longestTask: number;
  /** The same on the wall clock: includes time in which the machine did other work. */
  readonly longestTaskWall: number;
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
  readonly dur?: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string; readonly data?: { readonly frame?: string } };
}

/**
 * Does something while Chromium's tracer watches. A frame is late when a task of the main thread (input,
 * script, style, layout, paint) takes longer than the frame; the tracer times each task on the thread's
 * own clock, so that a busy machine does not make the panel look slow, nor an idle one hide its work.
 */
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
  const mains = new Set(
    traceEvents
      .filter((e) => e.name === "thread_name" && e.args?.name === "CrRendererMain")
      .map((e) => `${e.pid}/${e.tid}`),
  );
  const tasks = traceEvents.filter(
    (e) => e.name.endsWith("RunTask") && e.ph === "X" && mains.has(`${e.pid}/${e.tid}`),
  );
  if (tasks.length === 0) throw new Error("the trace holds no task of a page's main thread");
  const at = (share: number) =>
    deltas[Math.min(deltas.length - 1, Math.floor(deltas.length * share))];
  return {
    longestTask: Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000,
    longestTaskWall: Math.max(...tasks.map(({ dur = 0 }) => dur)) / 1000,
    median: at(0.5) ?? 0,
    p95: at(0.95) ?? 0,
    longest: deltas.at(-1) ?? 0,
    frames: deltas.length,
  };
}
