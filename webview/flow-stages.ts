import { USUAL_STYLE } from "../src/runs/sweeps.ts";
import type { ExperimentState, SeriesState, Store } from "./store.ts";

/** Lanes of the flow map, top to bottom: where information sits. */
export const LANES = ["Video", "Question", "Options", "Last"] as const;
export type Lane = (typeof LANES)[number];

/** Cutting an edge family over some layers costs the answer: what the sweep found, nothing assumed. */
export interface FlowStage {
  readonly name: string;
  readonly from: Lane;
  readonly to: Lane;
  /** Centres at which the loss is at least half the largest, first and last, 0-based. */
  readonly first: number;
  readonly last: number;
  /** Centre with the largest loss, and the change there in percent (negative). */
  readonly peak: number;
  readonly change: number;
  readonly newAnswer: string;
  readonly slot: number;
}

/** A family counts as carrying the answer when cutting it somewhere costs at least this share. */
export const MIN_LOSS_PERCENT = 10;
/** A stage reaches as far as the loss is at least this share of the family's largest. */
export const STAGE_SHARE = 0.5;

/** The lane of a name in a series ("Non-option question", "True option", …). */
function laneOf(name: string): Lane | undefined {
  const text = name.trim().toLowerCase();
  if (text === "video") return "Video";
  if (text.endsWith("option")) return "Options";
  if (text.includes("question")) return "Question";
  return text === "last" ? "Last" : undefined;
}

/** From which lane to which a series cuts; undefined for cuts that are no lane to lane. */
function lanesOf(series: string): readonly [Lane, Lane] | undefined {
  if (/^no cross-frame/i.test(series)) return ["Video", "Video"];
  const [from, to] = series.split("-/->").map(laneOf);
  return from === undefined || to === undefined ? undefined : [from, to];
}

const worstOf = ({ results }: SeriesState) =>
  results.reduce((a, b) => (b.relative_diff < a.relative_diff ? b : a));

function familyOf(series: SeriesState, slot: number): FlowFamily | undefined {
  const lanes = lanesOf(series.name);
  if (lanes === undefined || series.results.length === 0) return undefined;
  const worst = worstOf(series);
  return {
    name: series.name,
    from: lanes[0],
    to: lanes[1],
    loss: Math.max(0, -worst.relative_diff),
    peak: worst.layer,
    newAnswer: worst.new_answer,
    stage: stageOf(series, slot) ?? null,
    slot,
  };
}

function stageOf(series: SeriesState, slot: number): FlowStage | undefined {
  const lanes = lanesOf(series.name);
  if (lanes === undefined || series.results.length === 0) return undefined;
  const worst = worstOf(series);
  if (worst.relative_diff > -MIN_LOSS_PERCENT) return undefined;
  const enough = (layer: number) =>
    (series.byLayer.get(layer)?.relative_diff ?? 0) <= worst.relative_diff * STAGE_SHARE;
  let [first, last] = [worst.layer, worst.layer];
  while (enough(first - 1)) first -= 1;
  while (enough(last + 1)) last += 1;
  return {
    name: series.name,
    from: lanes[0],
    to: lanes[1],
    first,
    last,
    peak: worst.layer,
    change: worst.relative_diff,
    newAnswer: worst.new_answer,
    slot,
  };
}

/** A family of edges that a sweep has cut: what it cost, whether or not that makes it a stage. */
export interface FlowFamily {
  readonly name: string;
  readonly from: Lane;
  readonly to: Lane;
  /** Largest loss of the answer's probability over the centres measured, in percent; 0 for none. */
  readonly loss: number;
  /** Centre of the largest loss, 0-based, and what was answered there. */
  readonly peak: number;
  readonly newAnswer: string;
  /** Its detected layers; null where it costs less than the threshold everywhere. */
  readonly stage: FlowStage | null;
  readonly slot: number;
}

/** Families of the main picture, as the sweeps over "cross-frame" and "vql-to-ql" name them. */
const MAIN_FAMILIES = [
  "No cross-frame interactions",
  "Video -/-> Question",
  "Video -/-> Last",
  "Question -/-> Last",
  "Last -/-> Last",
];

/** What the run's sweeps say about the flow. */
export interface Flow {
  readonly experiment: ExperimentState;
  /** Every family that was cut, in the sweep's order; those still being measured included. */
  readonly families: readonly FlowFamily[];
  /** Main families that the experiment does not cut. */
  readonly unmeasured: readonly string[];
  readonly stages: readonly FlowStage[];
  /** Families that were cut and cost less than the threshold everywhere. */
  readonly without: readonly string[];
  /** Families whose sweep is not complete yet. */
  readonly pending: readonly string[];
}

/** Targets whose series make up the main picture; the others split the question into its parts. */
const MAIN_TARGETS = new Set(["cross-frame", "vql-to-ql"]);

/**
 * The sweep that the picture is of: the last complete one with windows around the centre (under another
 * style a change at a centre says nothing of that layer), or, until there is one, the last that is
 * under way.
 */
function sweepOf(store: Store): ExperimentState | undefined {
  const sweeps = [...store.experiments.values()].filter(
    (e) => e.kind === "knockout" && e.recipe.style === USUAL_STYLE,
  );
  return sweeps.findLast(({ seconds }) => seconds !== null) ?? sweeps.at(-1);
}

/**
 * Stages of the run's knockout sweep; null when it has none. With `mainOnly` the series of the other
 * targets are left out, if there are any of the main ones.
 */
export function flowOf(store: Store, mainOnly: boolean): Flow | null {
  const experiment = sweepOf(store);
  if (experiment === undefined) return null;
  const stages: FlowStage[] = [];
  const families: FlowFamily[] = [];
  const without: string[] = [];
  const pending: string[] = [];
  let slot = 0;
  const all = [...experiment.series.values()];
  const main = all.filter(({ results }) => MAIN_TARGETS.has(String(results[0]?.detail?.target)));
  for (const series of mainOnly && main.length > 0 ? main : all) {
    const family = familyOf(series, slot);
    const stage = family?.stage ?? null;
    slot += 1;
    if (family !== undefined) families.push(family);
    if (stage !== null) stages.push(stage);
    else if (experiment.seconds === null) pending.push(series.name);
    else without.push(series.name);
  }
  const cut = new Set(all.map(({ name }) => name));
  return {
    experiment,
    families,
    unmeasured: MAIN_FAMILIES.filter((name) => !cut.has(name)),
    stages: stages.sort((a, b) => a.peak - b.peak),
    without,
    pending,
  };
}
