/** How one test that ran inside VS Code ended. */
export interface InsideResult {
  readonly name: string;
  readonly seconds: number;
  /** Absent when it passed. */
  readonly error?: string;
}

/** Environment variable with the path of the file that the results go to. */
export const RESULTS_VARIABLE = "FLOWPROBE_INSIDE_RESULTS";

export interface InsideTest {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** Runs tests one after another; a failing one does not stop the rest. */
export async function runAll(tests: readonly InsideTest[]): Promise<InsideResult[]> {
  const results: InsideResult[] = [];
  for (const { name, run } of tests) {
    const begun = performance.now();
    const seconds = () => (performance.now() - begun) / 1000;
    try {
      await run();
      results.push({ name, seconds: seconds() });
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      results.push({ name, seconds: seconds(), error: text });
    }
  }
  return results;
}

/** Waits until a condition gives a value. */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  patienceMs = 120_000,
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
