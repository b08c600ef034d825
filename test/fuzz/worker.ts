// A process that runs inputs of one target, and says which one it is at: what hangs or kills it is
// known to whoever watches it.
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { type Mutated, mutated } from "./mutate.ts";
import { judge } from "./outcome.ts";
import { TARGETS } from "./targets.ts";

/** A campaign, shrinking included, ends after this. */
const LONGEST_MS = 240_000;

/** What a worker is asked for. */
export interface WorkerOrder {
  readonly target: string;
  /** File that holds the input under way. */
  readonly current: string;
  readonly work:
    | { readonly kind: "campaign"; readonly seed: number; readonly runs: number }
    | { readonly kind: "one"; readonly input: Mutated };
}

/** What it answers. */
export interface WorkerReport {
  readonly runs: number;
  /** The smallest input that goes wrong, and how. */
  readonly finding: { readonly input: Mutated; readonly error: string } | null;
}

process.on("message", async ({ target: name, current, work }: WorkerOrder) => {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  let runs = 0;
  const run = async (input: Mutated) => {
    writeFileSync(current, JSON.stringify(input));
    runs += 1;
    process.send?.("alive");
    await judge(target, input);
  };
  const told = (error: unknown) =>
    error instanceof Error ? (error.stack ?? error.message) : String(error);
  let finding: WorkerReport["finding"] = null;
  if (work.kind === "one") {
    await run(work.input).catch((error: unknown) => {
      finding = { input: work.input, error: told(error) };
    });
  } else {
    const property = fc.asyncProperty(mutated(target.bases), run);
    const details = await fc.check(property, {
      seed: work.seed,
      numRuns: work.runs,
      // A finding is told in time, be it as small as it can be or not.
      interruptAfterTimeLimit: LONGEST_MS,
      markInterruptAsFailure: false,
    });
    const [input] = details.counterexample ?? [];
    if (input !== undefined) finding = { input, error: told(details.errorInstance) };
  }
  await target.close?.();
  const report: WorkerReport = { runs, finding };
  process.send?.(report, undefined, undefined, () => process.exit());
});
