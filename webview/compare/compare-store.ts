import { type Alignment, alignLayers } from "../../src/runs/comparison/align.ts";
import { alignRuns } from "../../src/runs/comparison/compare.ts";
import { contrastsOf } from "../../src/runs/comparison/contrasts.ts";
import type { RunFacts } from "../../src/runs/comparison/facts.ts";
import type { ComparedRun, CompareState } from "../../src/runs/comparison/panel-protocol.ts";
import { Selection } from "../selection.ts";

/** Longest value that tells runs apart in a legend. */
const MAX_NAME = 28;

/** The runs of a comparison in the order shown, and what the user has chosen. */
export class CompareStore extends Selection {
  #runs: readonly ComparedRun[] = [];
  #order: readonly string[] = [];
  #facts: readonly RunFacts[] = [];
  #alignment: Alignment = alignLayers([]);
  #names: readonly string[] = [];

  /** All runs, those that cannot be read included. */
  get runs(): readonly ComparedRun[] {
    return this.#runs;
  }

  /** Runs that can be compared; the first is what the others are compared with. */
  get readable(): readonly ComparedRun[] {
    return this.#runs.filter(({ facts }) => facts !== null);
  }

  /** Facts of the readable runs, in the same order. */
  get facts(): readonly RunFacts[] {
    return this.#facts;
  }

  get alignment(): Alignment {
    return this.#alignment;
  }

  /** Short names of the readable runs: "Run 1, as filmed". */
  get names(): readonly string[] {
    return this.#names;
  }

  override get layerCount(): number {
    return this.#alignment.layers;
  }

  /** Takes over runs: new ones, which come last unless they were placed before, and changed ones. */
  put(runs: readonly ComparedRun[]): void {
    const byId = new Map([...this.#runs, ...runs].map((run) => [run.id, run]));
    // Runs that are not here yet keep the place they had before a reload.
    this.#order = [...new Set([...this.#order, ...byId.keys()])];
    this.#arrange([...byId.values()]);
  }

  /** Puts a run first, so that the others are compared with it. */
  putFirst(id: string): void {
    this.#order = [id, ...this.#order.filter((other) => other !== id)];
    this.#arrange(this.#runs);
  }

  #arrange(unordered: readonly ComparedRun[]): void {
    const place = ({ id }: ComparedRun) => this.#order.indexOf(id);
    const runs = [...unordered].sort((a, b) => place(a) - place(b));
    this.#runs = runs;
    this.#facts = runs.flatMap(({ facts }) => (facts === null ? [] : [facts]));
    this.#alignment = alignRuns(this.#facts);
    this.#names = namesOf(this.#facts);
    this.touch("comparison");
  }

  /** The run's own layer, 1-based, at a layer of the common axis. */
  ownLayer(run: number, layer: number): number {
    return (this.#alignment.own[run]?.[layer] ?? layer) + 1;
  }

  /** Lines that say which layers stand at a place of the axis; none where all runs are as deep. */
  layerDetails(layer: number): string[] {
    if (!this.#alignment.relative) return [];
    return this.#facts.map(
      ({ model }, run) =>
        `run ${run + 1}: its layer ${this.ownLayer(run, layer)} of ${model.layers}`,
    );
  }

  toState(): CompareState {
    return { version: 1, runs: this.#order, ...this.kept() };
  }

  override restore(state: Partial<CompareState>): void {
    this.#order = (state.runs ?? []).filter((id) => typeof id === "string");
    super.restore(state);
  }
}

/** Runs by number and by the first thing that tells them all apart in few words. */
function namesOf(facts: readonly RunFacts[]): string[] {
  const telling = contrastsOf(facts).different.find(
    ({ what, values }) =>
      what !== "layers" &&
      new Set(values).size === values.length &&
      values.every((value) => value.length <= MAX_NAME),
  );
  return facts.map((_, run) => {
    const value = telling?.values[run];
    return value === undefined ? `Run ${run + 1}` : `Run ${run + 1}, ${value}`;
  });
}
