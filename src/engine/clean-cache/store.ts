import { createHash, randomUUID } from "node:crypto";
import { rename, rm, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemCode } from "../../common/file-failure.ts";
import { makeFolder } from "../../common/folders.ts";
import type { DecoderSpec } from "../families/shared/spec.ts";
import { attentionGraph } from "../graph/attention.ts";
import { projectionGraph, residualGraph } from "../graph/decoder.ts";
import { WHOLE } from "../graph/onnx.ts";
import { pruneFolder, type StoreLimits } from "../vision-cache/prune.ts";
import { bytesOf, CAN_KEEP, type CleanLayout, fileBytes } from "./layout.ts";
import { CleanRecord } from "./record.ts";
import { CleanWriter } from "./writer.ts";

const NAMES = {
  entry: /^[0-9a-f]{64}\.clean$/,
  part: /^[0-9a-f]{64}\.[0-9a-f-]{36}\.part$/,
} as const;

/** Raised when rows are computed in another way beside the graphs, or kept in another. */
const CLEAN_VERSION = 1;

/** What the graphs of a decoder compute, as a hash: another version's may round otherwise. */
export function computingIdentity(decoder: DecoderSpec): string {
  const [layer] = decoder.layers;
  if (layer === undefined) throw new Error("a decoder has layers");
  const root = dirname(layer.query.weight.file);
  return createHash("sha256")
    .update(JSON.stringify(decoder.rope, (_, value) => plain(value)))
    .update(projectionGraph(root, decoder, layer, WHOLE))
    .update(residualGraph(root, decoder, layer, WHOLE))
    .update(attentionGraph(decoder, { own: "none", weights: false, mass: false }))
    .digest("hex");
}

function plain(value: unknown): unknown {
  return value instanceof Float64Array ? Array.from(value) : value;
}

/**
 * The name under which a clean run is kept: a hash over all that makes its numbers.
 *
 * @param computed the weights' identity, and what computes with them in which precision.
 * @param positions where the rows stand for the decoder's rotation.
 * @param embeddings [S, d], the merged prompt: its tokens and the video's features.
 */
export function cleanKey(
  computed: unknown,
  positions: readonly ArrayLike<number>[] | undefined,
  embeddings: Float32Array,
): string {
  const axes = positions?.map((axis) => Array.from(axis)) ?? null;
  return createHash("sha256")
    .update(`${CLEAN_VERSION}\n${JSON.stringify([computed, axes])}\n`)
    .update(bytesOf(embeddings))
    .digest("hex");
}

/**
 * Clean runs in a folder, one file each. Several processes may use one folder: a run appears whole or
 * not at all, and one that is damaged is found out when it is read.
 */
export class CleanStore {
  readonly folder: string;
  readonly #limits: StoreLimits;

  constructor(folder: string, limits: StoreLimits) {
    this.folder = folder;
    this.#limits = limits;
  }

  /** What is kept under a key; undefined where nothing is, or it is damaged (and then removed). */
  async find(key: string, layout: CleanLayout): Promise<CleanRecord | undefined> {
    if (!CAN_KEEP) return undefined;
    const path = this.#path(key);
    try {
      const record = CleanRecord.open(path, key, layout);
      const now = new Date();
      // When it was last used: systems that do not note reading are common.
      await utimes(path, now, now).catch(() => {});
      return record;
    } catch (error) {
      if (systemCode(error) === undefined) await this.drop(key);
      return undefined;
    }
  }

  /** Begins to keep a run; undefined where it does not fit the store, or the folder cannot be made. */
  async begin(key: string, layout: CleanLayout): Promise<CleanWriter | undefined> {
    if (!CAN_KEEP || fileBytes(layout) > this.#limits.bytes) return undefined;
    await makeFolder(this.folder);
    return new CleanWriter(join(this.folder, `${key}.${randomUUID()}.part`), key, layout);
  }

  /**
   * Ends what was begun; a whole run is kept from here on, anything else is removed.
   *
   * @returns what went wrong, if anything did.
   */
  async end(key: string, writer: CleanWriter, whole: boolean): Promise<unknown> {
    if (!whole || !(await writer.finish())) {
      await writer.abandon();
      return whole ? writer.problem : undefined;
    }
    try {
      await rename(writer.path, this.#path(key));
      await pruneFolder(this.folder, NAMES, this.#limits, this.#path(key));
      return undefined;
    } catch (error) {
      await writer.abandon();
      return error;
    }
  }

  /** Removes what is kept under a key. */
  async drop(key: string): Promise<void> {
    await rm(this.#path(key), { force: true }).catch(() => {});
  }

  #path(key: string): string {
    return join(this.folder, `${key}.clean`);
  }
}
