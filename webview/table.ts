import { el } from "./dom.ts";

export type CellValue = string | number | null;

export interface Column {
  readonly name: string;
  /** How a number is shown on screen; exports keep full precision. */
  readonly format?: (value: number) => string;
}

/** A chart's figures as a table: its alternative on screen, and its CSV. */
export interface DataTable {
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly CellValue[])[];
}

/** Longest table put on screen at once; the CSV always has every row. */
const MAX_ROWS = 2_000;

function shown(value: CellValue | undefined, column: Column): string {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return value;
  return column.format === undefined ? plainNumber(value) : column.format(value);
}

/** A number without a unit of its own: whole, or to five digits. */
function plainNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
}

/** The table as an element, first column as row headers. */
export function tableElement(table: DataTable): HTMLElement {
  const head = el(
    "tr",
    {},
    ...table.columns.map((column) => el("th", { scope: "col" }, column.name)),
  );
  const rows = table.rows
    .slice(0, MAX_ROWS)
    .map((row) =>
      el(
        "tr",
        {},
        ...table.columns.map((column, index) =>
          index === 0
            ? el("th", { scope: "row" }, shown(row[index], column))
            : el("td", {}, shown(row[index], column)),
        ),
      ),
    );
  const left = table.rows.length - rows.length;
  const caption = left > 0 ? `${table.caption} (${left} more rows in the CSV)` : table.caption;
  return el(
    "div",
    { class: "table-scroll", tabindex: 0, role: "region", "aria-label": table.caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, ...rows)),
  );
}

/** One CSV field; a leading = + - @ of a text would be taken for a formula by spreadsheets. */
function field(value: CellValue | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** RFC 4180 text with a header line. */
export function csv(table: DataTable): string {
  const lines = [table.columns.map(({ name }) => field(name)).join(",")];
  for (const row of table.rows) lines.push(table.columns.map((_, i) => field(row[i])).join(","));
  return `${lines.join("\r\n")}\r\n`;
}
