import type { RunEvent } from "../protocol/events.ts";
import { answerProbability, foldRun, type RunState } from "./state.ts";

type Cell = string | number | null | undefined;

/** Rows as CSV (RFC 4180), the first one the header. */
export function csv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Answer by layer: for each layer (0 … L-1) and variant (normed, raw) the probability of every option
 * and the likeliest token.
 */
export function answerByLayerCsv(events: readonly RunEvent[]): string {
  const state = foldRun(events);
  const labels = labelsOf(state);
  const rows: Cell[][] = [["layer", "variant", ...labels, "top_token", "top_probability"]];
  for (const [layer, read] of state.layers.entries()) {
    if (read === undefined) continue;
    for (const variant of ["normed", "raw"] as const) {
      const { top } = read[variant];
      const shares = labels.map((label) => answerProbability(read[variant], { label }));
      rows.push([layer, variant, ...shares, top[0]?.token, top[0]?.probability]);
    }
  }
  return csv(rows);
}

/** Every result of every experiment: one row for each series and layer (0 … L-1). */
export function experimentsCsv(events: readonly RunEvent[]): string {
  const state = foldRun(events);
  const labels = labelsOf(state);
  const rows: Cell[][] = [
    [
      "experiment",
      "kind",
      "series",
      "layer",
      "blocked_layers",
      "base_score",
      "new_score",
      "relative_diff",
      "gt_score",
      "new_score_gt",
      "relative_diff_gt",
      "base_answer",
      "new_answer",
      "edges_left",
      ...labels.map((label) => `option_${label}`),
      "detail",
    ],
  ];
  for (const { id, kind, points } of state.experiments.values()) {
    for (const result of points.values()) {
      rows.push([
        id,
        kind,
        result.series,
        result.layer,
        result.window.map(([start, end]) => `${start}-${end - 1}`).join(" "),
        result.base_score,
        result.new_score,
        result.relative_diff,
        result.gt_score,
        result.new_score_gt,
        result.relative_diff_gt,
        result.base_answer,
        result.new_answer,
        result.edges_left,
        ...labels.map((label) => result.options[label]),
        result.detail === undefined ? undefined : JSON.stringify(result.detail),
      ]);
    }
  }
  return csv(rows);
}

function labelsOf({ run }: RunState): string[] {
  return run?.prompt.options.map(({ label }) => label) ?? [];
}
