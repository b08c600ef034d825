import { readdir, realpath } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { ModelError } from "../../common/errors.ts";
import { failureReason } from "../../common/file-failure.ts";
import { readRegularFile } from "../../common/regular-file.ts";
import {
  refuseAdapterTensors,
  refuseOtherLayouts,
  refusePackedTensors,
  SINGLE_WEIGHTS,
  WEIGHTS_INDEX,
} from "./layout.ts";
import { readSafetensorsHeader, type TensorEntry } from "./safetensors.ts";

/** Whole rows of a stored matrix: fused projections are read as slices of one tensor. */
export interface WeightRows {
  readonly start: number;
  readonly count: number;
}

/** A tensor and the real path (symbolic links resolved) of the shard that holds it. */
export interface LocatedTensor extends TensorEntry {
  readonly file: string;
}

/** The weights of a checkpoint, read in place. */
export interface Weights {
  /** The deepest folder that holds every shard's real path: ONNX Runtime's external-data folder. */
  readonly root: string;
  readonly tensors: ReadonlyMap<string, LocatedTensor>;
  /** What the user should know of how the files were read; empty as a rule. */
  readonly notices: readonly string[];
}

/** Bytes of an index: a checkpoint of 100,000 tensors has about 10 MB. */
const MAX_INDEX_BYTES = 100_000_000;

/** Where a checkpoint's files are read from: a folder, or the hub before anything is downloaded. */
export interface CheckpointFiles {
  /** The folder or repository, for messages. */
  readonly place: string;
  readonly names: readonly string[];
  /** Content of a small file. */
  text(name: string): Promise<string>;
  /** A shard's header, and the path that its tensors are found under. */
  shard(name: string): Promise<{
    readonly file: string;
    readonly entries: ReadonlyMap<string, TensorEntry>;
  }>;
}

/**
 * Finds the tensors of a Hugging Face folder as transformers does: `model.safetensors` where there is
 * one, an index beside it or not, else the shards that `model.safetensors.index.json` names. Symbolic
 * links (as in the hub's cache) are followed.
 *
 * @throws ModelError when there are no safetensors weights, a shard is missing or damaged, or the
 *   index and the shards disagree.
 */
export async function locateWeights(folder: string): Promise<Weights> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new ModelError(`${folder}: cannot be read as a folder (${error.code})`);
  });
  return locateTensors({
    place: folder,
    names,
    text: async (name) => {
      const file = join(folder, name);
      const content = await readRegularFile(file, MAX_INDEX_BYTES).catch((error: unknown) => {
        throw new ModelError(`${file}: cannot be read: ${failureReason(error)}`);
      });
      return content.toString("utf8");
    },
    shard: async (name) => {
      const file = await realpath(join(folder, name)).catch(() => {
        throw new ModelError(
          `${join(folder, name)}: this shard is missing (or its link is broken); download it again`,
        );
      });
      return { file, entries: await readSafetensorsHeader(file) };
    },
  });
}

/**
 * Finds the tensors of a checkpoint, wherever its files are.
 *
 * @throws ModelError as `locateWeights`.
 */
export async function locateTensors(source: CheckpointFiles): Promise<Weights> {
  const { place, names } = source;
  const promised = await readIndex(source);
  const tensors = new Map<string, LocatedTensor>();
  const files: string[] = [];
  for (const shard of shardsOf(promised)) {
    const { file, entries } = await source.shard(shard);
    files.push(file);
    for (const [name, entry] of entries) {
      const before = tensors.get(name);
      if (before !== undefined) {
        throw new ModelError(`${place}: tensor "${name}" is in ${before.file} and in ${file}`);
      }
      tensors.set(name, { ...entry, file });
    }
  }
  for (const [name, shard] of promised ?? []) {
    if (!tensors.has(name)) {
      throw new ModelError(
        `${join(place, shard)}: the index places tensor "${name}" here, but it is not in the file`,
      );
    }
  }
  refusePackedTensors(place, tensors.keys());
  refuseAdapterTensors(place, tensors.keys());
  const ignored = promised === null && names.includes(WEIGHTS_INDEX);
  const notices = ignored
    ? [`${WEIGHTS_INDEX} is ignored: as transformers does, ${SINGLE_WEIGHTS} beside it is read`]
    : [];
  return { root: deepestCommonFolder(files), tensors, notices };
}

/**
 * Names of the files that hold a checkpoint's weights: one, or those that its index names.
 *
 * @throws ModelError when there are no safetensors weights, or the index is damaged.
 */
export async function shardNames(source: CheckpointFiles): Promise<string[]> {
  return shardsOf(await readIndex(source));
}

function shardsOf(promised: ReadonlyMap<string, string> | null): string[] {
  return promised === null ? [SINGLE_WEIGHTS] : [...new Set(promised.values())].sort();
}

/** Which shard each tensor is in, by the index; null where one file holds the weights. */
async function readIndex(source: CheckpointFiles): Promise<Map<string, string> | null> {
  refuseOtherLayouts(source.place, source.names);
  if (source.names.includes(SINGLE_WEIGHTS)) return null;
  const file = join(source.place, WEIGHTS_INDEX);
  const text = await source.text(WEIGHTS_INDEX);
  let index: unknown;
  try {
    index = JSON.parse(text);
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

function deepestCommonFolder(files: readonly string[]): string {
  const [first, ...rest] = files.map((file) => dirname(file).split(sep));
  let common = first ?? [];
  for (const parts of rest) {
    const differs = common.findIndex((part, i) => part !== parts[i]);
    if (differs >= 0) common = common.slice(0, differs);
  }
  return common.join(sep) || sep;
}
