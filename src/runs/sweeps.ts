import { InputError } from "../common/errors.ts";
import type { WindowStyle } from "../protocol/vocabulary.ts";
import type { BranchResult, ExperimentState, RunState } from "./state.ts";

type KnockoutState = Extract<ExperimentState, { kind: "knockout" }>;

/** The style of the paper's curves: a point at a layer is of the layers around it. */
export const USUAL_STYLE: WindowStyle = "center";

/** Which sweep is meant where runs hold several. */
export interface SweepChoice {
  readonly window?: number | undefined;
  readonly style?: WindowStyle | undefined;
}

/** One complete sweep over a target: results of one experiment, made with one window. */
interface Sweep {
  readonly window: number;
  readonly style: WindowStyle;
  /** Centres, ascending. */
  readonly layers: readonly number[];
  readonly results: readonly BranchResult[];
}

/** Knockout targets that a run's complete sweeps cover, in their order; undefined: they do not say. */
export function sweptTargets(run: RunState): (string | undefined)[] {
  const targets = completeSweeps(run).flatMap(({ points }) => [...points.values()].map(targetOf));
  return [...new Set(targets)];
}

function completeSweeps({ experiments }: RunState): KnockoutState[] {
  return [...experiments.values()].filter(
    (found): found is KnockoutState => found.kind === "knockout" && found.seconds !== null,
  );
}

function targetOf({ detail }: BranchResult): string | undefined {
  return detail?.target;
}

/** A run's complete sweeps over a target; of those with one window and the same centres the last. */
function sweepsOf(run: RunState, target: string | undefined): Map<string, Sweep> {
  const sweeps = new Map<string, Sweep>();
  for (const { recipe, points } of completeSweeps(run)) {
    const results = [...points.values()].filter((result) => targetOf(result) === target);
    if (results.length === 0) continue;
    const layers = [...new Set(results.map(({ layer }) => layer))].sort((a, b) => a - b);
    const { window, style } = recipe;
    sweeps.set(JSON.stringify([window, style, layers]), { window, style, layers, results });
  }
  return sweeps;
}

/**
 * For each run the results of one complete sweep over a target, made with the same window and centres
 * in all runs: what can be put into one curve. Where the runs hold several, the one with windows
 * around the centre is meant, and of those that differ in centres alone the one with the most.
 *
 * @param runs each of which may hold no such sweep: its results are then empty.
 * @throws InputError when no one sweep is in all runs that hold any, or several are.
 */
export function commonSweep(
  runs: readonly RunState[],
  target: string | undefined,
  choice: SweepChoice = {},
): (readonly BranchResult[])[] {
  const held = runs.map((run) => sweepsOf(run, target));
  const swept = held.filter(({ size }) => size > 0);
  const [first] = swept;
  if (first === undefined) return runs.map(() => []);
  const shared = [...first].filter(([key]) => swept.every((sweeps) => sweeps.has(key)));
  const wanted = narrowed(shared, choice);
  const [chosen, ...others] = wanted;
  if (chosen === undefined || others.length > 0) {
    const all = new Map(swept.flatMap((sweeps) => [...sweeps]));
    throw new InputError(refusal(target, [...all.values()], chosen !== undefined));
  }
  return held.map((sweeps) => sweeps.get(chosen[0])?.results ?? []);
}

type Keyed = readonly [key: string, sweep: Sweep];

function narrowed(sweeps: readonly Keyed[], { window, style }: SweepChoice): readonly Keyed[] {
  const asked = sweeps.filter(
    ([, sweep]) =>
      (window === undefined || sweep.window === window) &&
      (style === undefined || sweep.style === style),
  );
  const usual = asked.filter(([, sweep]) => sweep.style === USUAL_STYLE);
  const styled = usual.length > 0 ? usual : asked;
  const windows = new Set(styled.map(([, sweep]) => `${sweep.window} ${sweep.style}`));
  if (windows.size !== 1) return styled;
  const most = Math.max(...styled.map(([, { layers }]) => layers.length));
  return styled.filter(([, { layers }]) => layers.length === most);
}

function refusal(target: string | undefined, sweeps: readonly Sweep[], several: boolean): string {
  const named = [...new Set(sweeps.map(inWords))].join("; ");
  const what = `sweeps over ${target ?? "a target that they do not name"} were made with ${named}`;
  return several
    ? `${what}: they are not one curve; choose one with --window and --style`
    : `${what}: no one of them is in all runs, so they are not one curve; export the runs apart, or ` +
        "sweep those that lack it";
}

function inWords({ window, style, layers }: Sweep): string {
  const [first = 0] = layers;
  const last = layers.at(-1) ?? first;
  const centres = first === last ? `layer ${first + 1}` : `layers ${first + 1}-${last + 1}`;
  return `window ${window}, ${style}, at ${centres}`;
}
