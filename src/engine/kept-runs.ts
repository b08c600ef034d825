import { dirname, join } from "node:path";
import type { EngineSettings } from "../protocol/requests.ts";
import { KeptRun } from "./clean-cache/kept-run.ts";
import { CleanStore, cleanKey, computingIdentity } from "./clean-cache/store.ts";
import type { PreparedPrompt } from "./experiments/run.ts";
import type { LoadedModel } from "./prepare.ts";
import { RUNTIME } from "./runtime/session.ts";

/** How many clean runs may be there, however small. */
const MOST_RUNS = 1_000;

/** The store of clean runs, beside that of the video features; undefined where none are kept. */
export function cleanStore(settings: EngineSettings): CleanStore | undefined {
  const { featureFolder, cleanRunBytes = 0 } = settings;
  if (featureFolder === undefined || cleanRunBytes <= 0) return undefined;
  const limits = { bytes: cleanRunBytes, entries: MOST_RUNS };
  return new CleanStore(join(dirname(featureFolder), "clean"), limits);
}

/** The clean run of a prompt, kept or to be kept. */
export async function keptRun(
  store: CleanStore,
  { open, identity }: LoadedModel,
  { embeddings, positions, length }: PreparedPrompt,
): Promise<KeptRun> {
  const { decoder } = open.spec;
  const computed = [
    identity,
    `${open.provider} of ${RUNTIME}`,
    open.precision,
    computingIdentity(decoder),
  ];
  const layout = {
    length,
    width: decoder.hiddenSize,
    kvWidth: decoder.kvHeads * decoder.headDim,
    layers: decoder.layers.length,
  };
  return KeptRun.find(store, cleanKey(computed, positions, embeddings), layout);
}
