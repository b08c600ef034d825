/** A point of a scatter plot, both values shares. */
export interface ScatterPoint {
  readonly x: number;
  readonly y: number;
  /** What the point stands for, in a few short lines: tooltip and screen readers say it. */
  readonly lines: readonly string[];
  /** Choosing the point; absent: it cannot be chosen. */
  readonly choose?: () => void;
}

export interface ScatterSeries {
  readonly name: string;
  readonly slot: number;
  /** `faint`: many small points; `line`: joined; `mark`: few that stand out. */
  readonly look: "plain" | "faint" | "line" | "mark";
  readonly points: readonly ScatterPoint[];
}

/** Points on two axes of shares. */
export interface ScatterFigure {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** First and last value of the axes, in fifths. */
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  /** A horizontal bound, with its name. */
  readonly bound?: { readonly y: number; readonly name: string } | undefined;
  format(value: number): string;
  readonly series: readonly ScatterSeries[];
}

/** Between two ticks of an axis. */
export const SCATTER_STEP = 0.2;
/** Radius of a point by look, in pixels. */
export const SCATTER_RADIUS = { plain: 4, faint: 2.5, line: 3, mark: 7 } as const;
