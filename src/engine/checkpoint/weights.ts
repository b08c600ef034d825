import { readdir, readFile, realpath } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { ModelError } from "../errors.ts";
import { readSafetensorsHeader, type TensorEntry } from "./safetensors.ts";

const INDEX_FILE = "model.safetensors.index.json";
const SINGLE_FILE = "model.safetensors";

/** A tensor and the real path (symbolic links resolved) of the shard that holds it. */
export interface LocatedTensor extends TensorEntry {
  readonly file: string;
}

/** The weights of a checkpoint, read in place. */
export interface Weights {
  /** The deepest folder that holds every shard's real path: ONNX Runtime's external-data folder. */
  readonly root: string;
  readonly tensors: ReadonlyMap<string, LocatedTensor>;
}

/**
 * Finds the tensors of a Hugging Face folder: one safetensors file, or the shards that
 * `model.safetensors.index.json` names. Symbolic links (as in the hub's cache) are followed.
 *
 * @throws ModelError when there are no safetensors weights, a shard is missing or damaged, or the
 *   index and the shards disagree.
 */
export async function locateWeights(folder: string): Promise<Weights> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new ModelError(`${folder}: cannot be read as a folder (${error.code})`);
  });
  const promised = names.includes(INDEX_FILE) ? await readIndex(join(folder, INDEX_FILE)) : null;
  if (promised === null && !names.includes(SINGLE_FILE)) {
    throw new ModelError(`${folder}: ${whatIsThereInstead(names)}`);
  }
  const shards = promised === null ? [SINGLE_FILE] : [...new Set(promised.values())].sort();
  const tensors = new Map<string, LocatedTensor>();
  const files: string[] = [];
  for (const shard of shards) {
    const file = await realpath(join(folder, shard)).catch(() => {
      throw new ModelError(
        `${join(folder, shard)}: this shard is missing (or its link is broken); download it again`,
      );
    });
    files.push(file);
    for (const [name, entry] of await readSafetensorsHeader(file)) {
      if (promised !== null && promised.get(name) !== shard) continue;
      tensors.set(name, { ...entry, file });
    }
  }
  for (const [name, shard] of promised ?? []) {
    if (!tensors.has(name)) {
      throw new ModelError(
        `${join(folder, shard)}: the index places tensor "${name}" here, but it is not in the file`,
      );
    }
  }
  return { root: deepestCommonFolder(files), tensors };
}

async function readIndex(file: string): Promise<Map<string, string>> {
  let index: unknown;
  try {
    index = JSON.parse(await readFile(file, "utf8"));
  } catch {
    throw new ModelError(`${file}: not JSON; copy or download it again`);
  }
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null) {
    throw new ModelError(`${file}: has no "weight_map"`);
  }
  const promised = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    // A shard is a plain file name: an index must not lead out of its folder.
    if (typeof shard !== "string" || !/^[\w.-]+\.safetensors$/.test(shard)) {
      throw new ModelError(`${file}: "${name}" is placed in ${JSON.stringify(shard)}`);
    }
    promised.set(name, shard);
  }
  if (promised.size === 0) throw new ModelError(`${file}: "weight_map" is empty`);
  return promised;
}

function whatIsThereInstead(names: readonly string[]): string {
  if (names.includes("adapter_config.json")) {
    return "holds only an adapter (adapter_config.json); merge it into its base model first";
  }
  const pickled = names.find((name) => /^pytorch_model.*\.bin$/.test(name));
  if (pickled !== undefined) {
    return `its weights are pickled (${pickled}), which can run code; save them as safetensors`;
  }
  return `has neither ${SINGLE_FILE} nor ${INDEX_FILE}`;
}

function deepestCommonFolder(files: readonly string[]): string {
  const [first, ...rest] = files.map((file) => dirname(file).split(sep));
  let common = first ?? [];
  for (const parts of rest) {
    const differs = common.findIndex((part, i) => part !== parts[i]);
    if (differs >= 0) common = common.slice(0, differs);
  }
  return common.join(sep) || sep;
}
