import { randomBytes } from "node:crypto";

/**
 * A new id for an experiment, unique by itself: runs that are continued by several programs at once
 * keep their experiments apart. It begins with the experiment's kind, for people.
 */
export function newExperimentId(kind: string): string {
  return `${kind}-${randomBytes(6).toString("hex")}`;
}
