import { writeFileSync } from "node:fs";
import { RESULTS_VARIABLE, runAll } from "./harness.ts";
import { promptFileTests } from "./prompt-files.ts";
import { runTests } from "./runs.ts";
import { startTests } from "./start.ts";

/** Called by VS Code inside the extension host; rejects when a test fails. */
export async function run(): Promise<void> {
  const results = await runAll([...startTests, ...promptFileTests, ...runTests]);
  const file = process.env[RESULTS_VARIABLE];
  if (file !== undefined) writeFileSync(file, JSON.stringify(results));
  const failed = results.filter(({ error }) => error !== undefined);
  for (const { name, error } of failed) console.error(`${name}\n${error}`);
  if (failed.length > 0) throw new Error(`${failed.length} of ${results.length} tests failed`);
}
