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
