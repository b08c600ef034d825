import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import type { PixelValues } from "../../video/preprocess.ts";
import type { LocatedTensor } from "../checkpoint/weights.ts";
import type { ModelSpec } from "../families/shared/spec.ts";
import { towerGraphs } from "../graph/tower.ts";

/**
 * Raised when the same pixels, weights and graphs give other features: what is computed beside the
 * graphs (pooling, windows, rotation, the order of tokens) has changed, or how features are kept.
 */
const FEATURES_VERSION = 1;

/**
 * What makes a model's video features besides the pixels, as a hash: the files that hold the weights
 * of its vision tower and connector (real path, size, time), those parts of the model's
 * specification, the graphs, and what runs them.
 *
 * @param runtime the execution provider, and the version of what computes with it.
 * @throws the system's error when a file of the weights is gone.
 */
export async function visionIdentity(spec: ModelSpec, runtime: string): Promise<string> {
  const { family, vision, connector, frames, decoder } = spec;
  const files = new Set<string>();
  const parts = JSON.stringify(
    { family, vision, connector, frames, width: decoder.hiddenSize },
    (_, value: unknown) => {
      if (isTensor(value)) files.add(value.file);
      return ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value;
    },
  );
  const hash = createHash("sha256");
  hash.update(`${FEATURES_VERSION}\n${runtime}\n${parts}\n`);
  for (const file of [...files].sort()) {
    const { size, mtimeNs } = await stat(file, { bigint: true });
    hash.update(`${file}\n${size}\n${mtimeNs}\n`);
  }
  const { patches, layers, connector: last } = towerGraphs(spec);
  for (const graph of [patches, ...layers, last]) hash.update(`${graph.length}\n`).update(graph);
  return hash.digest("hex");
}

function isTensor(value: unknown): value is LocatedTensor {
  return typeof value === "object" && value !== null && "file" in value && "offset" in value;
}

/** SHA-256 of prepared pixels and their shape, in hexadecimal. */
export function pixelsHash({ data, shape }: PixelValues): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return createHash("sha256")
    .update(`${shape.join("x")}\n`)
    .update(bytes)
    .digest("hex");
}

/**
 * The name under which a clip's features are kept: a hash over its prepared pixels, their shape
 * (which for a tower of any size is the grid of tokens) and the model's `visionIdentity`.
 */
export function featureKey(identity: string, { data, shape }: PixelValues): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return createHash("sha256")
    .update(`${identity}\n${shape.join("x")}\n`)
    .update(bytes)
    .digest("hex");
}
