import type { MassReading } from "../protocol/events.ts";
import { tensorNumbers } from "../protocol/tensors.ts";

/** Attention that a query group's positions give to a key group, by head; undefined when not read. */
export function massByHead(
  mass: MassReading | undefined,
  query: string,
  key: string,
): Float32Array | undefined {
  if (mass === undefined) return undefined;
  const q = mass.queryGroups.indexOf(query);
  const k = mass.keyGroups.indexOf(key);
  if (q < 0 || k < 0) return undefined;
  const [heads = 0, queries = 0, keys = 0] = mass.mass.shape;
  const numbers = tensorNumbers(mass.mass);
  return Float32Array.from(
    { length: heads },
    (_, head) => numbers[(head * queries + q) * keys + k] ?? 0,
  );
}

/** The same as the mean over the heads, as a share of 1. */
export function meanMass(
  mass: MassReading | undefined,
  query: string,
  key: string,
): number | undefined {
  const heads = massByHead(mass, query, key);
  if (heads === undefined || heads.length === 0) return undefined;
  return heads.reduce((sum, value) => sum + value, 0) / heads.length;
}
