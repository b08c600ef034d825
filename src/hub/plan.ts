import { ConfigReader } from "../common/config-reader.ts";
import { ModelError } from "../common/errors.ts";
import { refuseOtherLayouts, SINGLE_WEIGHTS, WEIGHTS_INDEX } from "../engine/checkpoint/layout.ts";
import {
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX_BYTES,
  safetensorsHeaderBytes,
} from "../engine/checkpoint/safetensors.ts";
import { type CheckpointFiles, locateTensors, shardNames } from "../engine/checkpoint/weights.ts";
import { chooseReader } from "../engine/families/registry.ts";
import { CachedRepository, sizeOf } from "./cache.ts";
import type { HubClient, HubFile, HubModel } from "./client.ts";
import { isVerified } from "./verified.ts";

/** What will be downloaded, and what is known of the model by then: shown before anything is kept. */
export interface DownloadPlan {
  readonly model: HubModel;
  /** The family as it is read, and the decoder's size. */
  readonly family: string;
  readonly layers: number;
  readonly heads: number;
  readonly files: readonly HubFile[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes that are not in the cache yet, neither whole nor in part. */
  readonly missingBytes: number;
  /** The snapshot's folder: a model folder once everything is there. */
  readonly folder: string;
  /** Whether everything is there already, and was checked. */
  readonly complete: boolean;
}

/** Files beside the weights that are kept: what is read here, and what other tools want beside it. */
const KEPT = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "preprocessor_config.json",
  "video_preprocessor_config.json",
  "processor_config.json",
  "chat_template.jinja",
  "chat_template.json",
  WEIGHTS_INDEX,
  "LICENSE",
  "LICENSE.txt",
  "LICENSE.md",
]);

/** One of these says how frames are prepared. */
const PROCESSORS = [
  "preprocessor_config.json",
  "video_preprocessor_config.json",
  "processor_config.json",
];

/** Headers of shards are shorter, nearly always: one request gets them. */
const HEADER_GUESS_BYTES = 256 * 1024;

/**
 * Looks at a model on the hub as opening it would: configuration, index, every shard's header. Nobody
 * should fetch 15 GB to learn that a family, a tensor or the tokenizer is missing.
 *
 * @throws ModelError when the model could not be used once it is here; HubError, CancelledError.
 */
export async function planDownload(
  client: HubClient,
  name: string,
  revision: string,
  signal?: AbortSignal,
): Promise<DownloadPlan> {
  const model = await client.model(name, revision, signal);
  const names = model.files.map((file) => file.name);
  refuseOtherLayouts(model.name, names, model.base);
  for (const needed of ["config.json", "tokenizer.json"]) {
    if (!names.includes(needed)) throw new ModelError(`${model.name}: has no ${needed}${MISSING}`);
  }
  if (!PROCESSORS.some((one) => names.includes(one))) {
    throw new ModelError(`${model.name}: has no ${PROCESSORS.join(", ")}${MISSING}`);
  }
  const source = remoteFiles(client, model, signal);
  const read = chooseReader(parseConfig(model.name, await source.text("config.json")));
  const shards = await shardNames(source);
  const { family, decoder } = read(model.name, await locateTensors(source));
  const wanted = new Set([...KEPT, ...shards]);
  // An index beside one file is ignored, and not needed.
  if (shards.includes(SINGLE_WEIGHTS)) wanted.delete(WEIGHTS_INDEX);
  const files = model.files.filter((file) => wanted.has(file.name));
  const repository = new CachedRepository(client.requests.settings.cache, model.name);
  const folder = repository.snapshot(model.commit);
  const missing = await Promise.all(files.map((file) => missingBytes(repository, model, file)));
  const shown = await Promise.all(
    files.map(({ name, hash }) => isVerified(repository, hash, `${folder}/${name}`)),
  );
  const sizes = await Promise.all(files.map(({ name }) => sizeOf(`${folder}/${name}`)));
  return {
    ...{ model, family, files, folder },
    ...{ layers: decoder.layers.length, heads: decoder.heads },
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    missingBytes: missing.reduce((sum, size) => sum + size, 0),
    complete: files.every(({ size }, i) => shown[i] === true && sizes[i] === size),
  };
}

const MISSING =
  "; a checkpoint in transformers' layout has it (save_pretrained of the model and its processor " +
  "writes it)";

/** Bytes of a file that are not in the cache yet. */
async function missingBytes(
  repository: CachedRepository,
  { commit }: HubModel,
  { name, hash, size }: HubFile,
): Promise<number> {
  const places = [`${repository.snapshot(commit)}/${name}`, repository.blob(hash)];
  for (const place of places) if ((await sizeOf(place)) === size) return 0;
  return Math.max(0, size - ((await sizeOf(repository.part(hash))) ?? 0));
}

function parseConfig(name: string, text: string): ConfigReader {
  const file = `${name}/config.json`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ModelError(`${file}: is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ModelError(`${file}: is not a JSON object`);
  }
  return new ConfigReader(value as Record<string, unknown>, file);
}

/** A model's files read on the hub: texts once, of shards the headers alone. */
function remoteFiles(
  client: HubClient,
  model: HubModel,
  signal: AbortSignal | undefined,
): CheckpointFiles {
  const texts = new Map<string, Promise<string>>();
  const find = (name: string): HubFile => {
    const file = model.files.find((one) => one.name === name);
    if (file === undefined) throw new ModelError(`${model.name}/${name}: this shard is missing`);
    return file;
  };
  return {
    place: model.name,
    names: model.files.map(({ name }) => name),
    text: (name) => {
      const text = texts.get(name) ?? client.text(model, find(name), signal);
      texts.set(name, text);
      return text;
    },
    shard: async (name) => {
      const file = find(name);
      const path = `${model.name}/${name}`;
      const guess = Math.min(file.size, HEADER_GUESS_BYTES);
      let start = await client.bytes(model, file, { from: 0, length: guess }, signal);
      const prefix = start.subarray(0, SAFETENSORS_PREFIX_BYTES);
      const end = SAFETENSORS_PREFIX_BYTES + safetensorsHeaderBytes(path, prefix, file.size);
      if (end > start.length) {
        const rest = { from: start.length, length: end - start.length };
        start = Buffer.concat([start, await client.bytes(model, file, rest, signal)]);
      }
      const header = start.subarray(SAFETENSORS_PREFIX_BYTES, end);
      return { file: path, entries: parseSafetensorsHeader(path, header, file.size) };
    },
  };
}
