import type { Mutated } from "./mutate.ts";

/** A reader of foreign input, and good inputs to change. */
export interface Target {
  readonly name: string;
  /** Good inputs there are. */
  readonly bases: number;
  /** Inputs of the short campaign. */
  readonly shortRuns: number;
  /**
   * Reads a changed input as the product does, and whatever is done next with what was read. Errors
   * that say to the user what is wrong are fine; any other, and a result that breaks a promise, is a
   * finding.
   */
  run(input: Mutated): Promise<void>;
  /** The input as a person would write it down. */
  show(input: Mutated): string;
  /** Lets go of what the target holds. */
  close?(): Promise<void>;
}
