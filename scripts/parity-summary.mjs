import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Columns by what is compared; a quantity belongs to the first that names it. */
const COLUMNS = [
  ["pixels", /pixel|normalised/],
  ["vision", /vision|video tokens|pooled|embeddings/],
  ["hidden states", /hidden/],
  ["attention", /attention/],
  ["sweeps", /new_|relative|pathway|random|distributions/],
  ["probabilities", /./],
];
/** Changes in percent: their error says again what the probabilities' says. */
const LEFT_OUT = /relative_diff/;

/**
 * The parity layer's largest errors by model family, as its tests print them.
 *
 * @param {string} tap the layer's TAP output: a test is named after its fixture, and its measurements
 *   follow as "# quantity: error (of tolerance)".
 * @param {string} fixtures the folder of fixtures; a family is the `model_type` of their config.json.
 * @returns {string[]} lines of a table; errors of pixels in steps of 255, of tensors as a share of the
 *   largest magnitude, of probabilities and weights as they are.
 */
export function paritySummary(tap, fixtures) {
  const families = new Map();
  let family;
  for (const line of tap.split("\n")) {
    const test = /^\s*(?:not )?ok \d+ - ([\w.-]+): /.exec(line);
    if (test !== null) family = familyOf(join(fixtures, test[1]));
    const measured = /^\s*# (.+): (\S+) \(of \S+\)$/.exec(line);
    if (measured === null || family === undefined || LEFT_OUT.test(measured[1])) continue;
    const column = COLUMNS.findIndex(([, names]) => names.test(measured[1]));
    const errors = families.get(family) ?? COLUMNS.map(() => undefined);
    errors[column] = Math.max(errors[column] ?? 0, Number(measured[2]));
    families.set(family, errors);
  }
  if (families.size === 0) return [];
  const width = Math.max(...[...families.keys()].map((name) => name.length));
  const row = (name, cells) => `${name.padEnd(width)}  ${cells.join("  ")}`.trimEnd();
  const widths = COLUMNS.map(([name]) => Math.max(name.length, 7));
  return [
    row("largest errors", []),
    row(
      "",
      COLUMNS.map(([name], i) => name.padStart(widths[i])),
    ),
    ...[...families].sort().map(([name, errors]) =>
      row(
        name,
        errors.map((error, i) => (error?.toExponential(1) ?? "-").padStart(widths[i])),
      ),
    ),
  ];
}

function familyOf(folder) {
  const config = join(folder, "config.json");
  return existsSync(config) ? JSON.parse(readFileSync(config, "utf8")).model_type : undefined;
}
