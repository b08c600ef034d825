import { fileURLToPath } from "node:url";

/** Where random checkpoints are kept from run to run. */
export const FOLDER = fileURLToPath(
  new URL("../node_modules/.cache/flowprobe-bench", import.meta.url),
);

/** One measured figure beside its budget. */
export interface BenchRow {
  readonly what: string;
  readonly measured: string;
  /** Empty where there is none. */
  readonly budget: string;
  readonly met: boolean | undefined;
}

/** Prints rows as aligned columns. */
export function printTable(rows: readonly BenchRow[]): void {
  const width = (pick: (row: BenchRow) => string) =>
    Math.max(...rows.map((row) => pick(row).length));
  const what = width((row) => row.what);
  const measured = width((row) => row.measured);
  for (const row of rows) {
    const verdict = row.met === undefined ? "" : row.met ? "met" : "MISSED";
    console.log(
      `${row.what.padEnd(what)}  ${row.measured.padEnd(measured)}  ${row.budget.padEnd(6)}  ${verdict}`.trimEnd(),
    );
  }
}

/** Bytes as decimal gigabytes. */
export const giga = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;

/** A duration with the digits it deserves. */
export const seconds = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} s`;

/** Progress, apart from the table. */
export const note = (message: string) => console.error(message);
