import { listFiles, listModels, modelInfo } from "@huggingface/hub";
import { CancelledError, InputError } from "../common/errors.ts";
import { shownValue } from "../common/shown.ts";
import { BodyLimitError, readBody } from "./bodies.ts";
import { HubError } from "./failures.ts";
import { isRepositoryName } from "./names.ts";
import type { HubRequests } from "./requests.ts";

/** A file of a model on the hub, with the checksum its content must have. */
export interface HubFile {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly hash: string;
  /** Large files are known by SHA-256, small ones by Git's own hash of them. */
  readonly algorithm: "sha256" | "git-sha1";
}

/** A model of the hub at one commit. */
export interface HubModel {
  readonly name: string;
  /** As asked for. */
  readonly revision: string;
  readonly commit: string;
  /** As its card says it; undefined when that says nothing. */
  readonly licence: string | undefined;
  readonly gated: boolean;
  /** The model it was made from, as its card says. */
  readonly base: string | undefined;
  /** Files in its top folder. */
  readonly files: readonly HubFile[];
}

/** A model that a search found. */
export interface FoundModel {
  readonly name: string;
  readonly downloads: number;
  readonly gated: boolean;
  readonly licence: string | undefined;
  /** `model_type` of its configuration, where the hub knows it. */
  readonly modelType: string | undefined;
  /** Bytes of its weights, reckoned from the hub's count of parameters. */
  readonly bytes: number | undefined;
}

/** Kinds of models that a search looks among: those that take video or images, and text. */
const TASKS = ["video-text-to-text", "image-text-to-text"] as const;
const SEARCH_LIMIT = 30;

/** A small file (configuration, index) is never larger. */
const MAX_TEXT_BYTES = 32_000_000;

/** Files of a model, and folders; the largest repositories have some thousands. */
const MAX_ENTRIES = 50_000;

/** How often a small file is asked for when the connection breaks in its middle. */
const TEXT_TRIES = 4;

const BYTES_PER_PARAMETER: Readonly<Record<string, number>> = {
  ...{ F64: 8, I64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2 },
  ...{ F8_E4M3: 1, F8_E5M2: 1, I8: 1, U8: 1, BOOL: 1 },
};

/** Reads the hub: searches it, says what a model consists of, and opens its files. */
export class HubClient {
  constructor(readonly requests: HubRequests) {}

  /**
   * Models whose name has the words, the most downloaded first.
   *
   * @throws HubError, CancelledError.
   */
  async search(query: string, signal?: AbortSignal): Promise<FoundModel[]> {
    const byTask = await Promise.all(
      TASKS.map((task) =>
        this.#library(async () => {
          const found: FoundModel[] = [];
          const models = listModels({
            search: { query, task },
            sort: "downloads",
            limit: SEARCH_LIMIT,
            additionalFields: ["config", "safetensors", "tags"],
            ...this.#options({ signal }),
          });
          for await (const model of models) {
            const parameters: unknown = model.safetensors?.parameters;
            const { name, downloads }: { name: unknown; downloads: unknown } = model;
            // A model without a name that can be asked for is left out.
            if (typeof name !== "string" || !isRepositoryName(name)) continue;
            found.push({
              name,
              downloads: typeof downloads === "number" ? downloads : 0,
              gated: Boolean(model.gated),
              licence: taggedLicence(model.tags),
              modelType: textOf((model.config as { model_type?: unknown } | null)?.model_type),
              bytes: bytesOf(parameters),
            });
          }
          return found;
        }, signal),
      ),
    );
    return byTask.flat().sort((a, b) => b.downloads - a.downloads);
  }

  /**
   * What a model is and consists of, at the commit that the revision has now.
   *
   * @throws HubError, CancelledError.
   */
  async model(name: string, revision: string, signal?: AbortSignal): Promise<HubModel> {
    const options = this.#options({ name, revision, signal });
    return this.#library(async () => {
      const info = await modelInfo({
        ...{ name, revision },
        additionalFields: ["sha", "cardData", "tags"],
        ...options,
      });
      const { sha: commit } = info;
      if (!/^[0-9a-f]{40}$/.test(commit)) throw damaged(name, `the commit ${shownValue(commit)}`);
      const files: HubFile[] = [];
      let entries = 0;
      for await (const { type, path, size, oid, lfs } of listFiles({
        repo: { type: "model", name },
        revision: commit,
        ...options,
      })) {
        if (++entries > MAX_ENTRIES) throw damaged(name, `more than ${MAX_ENTRIES} files`);
        if (type !== "file" || typeof path !== "string" || !/^[\w.+-]+$/.test(path)) continue;
        // An answer is what the hub says, whatever the library's types promise.
        const pointer: unknown = lfs?.oid;
        const sha256 = lfs == null ? undefined : String(pointer).replace(/^sha256:/, "");
        const hash = sha256 ?? oid ?? "";
        const bytes = lfs?.size ?? size;
        const isHash = sha256 === undefined ? /^[0-9a-f]{40}$/ : /^[0-9a-f]{64}$/;
        if (!isHash.test(hash) || !Number.isSafeInteger(bytes) || bytes < 0) {
          throw damaged(name, `${path} with the checksum ${shownValue(pointer ?? oid)}`);
        }
        const algorithm = sha256 === undefined ? "git-sha1" : "sha256";
        files.push({ name: path, size: bytes, hash, algorithm });
      }
      const card = (info.cardData ?? {}) as Readonly<Record<string, unknown>>;
      return {
        ...{ name: info.name, revision, commit, files },
        licence: cardLicence(card) ?? taggedLicence(info.tags),
        gated: Boolean(info.gated),
        base: textOf([card.base_model].flat()[0]),
      };
    }, signal);
  }

  /**
   * Content of a small file.
   *
   * @throws HubError, CancelledError.
   */
  async text(model: HubModel, file: HubFile, signal?: AbortSignal): Promise<string> {
    if (file.size > MAX_TEXT_BYTES) {
      throw damaged(model.name, `${file.name} with ${file.size} bytes`);
    }
    return (await this.bytes(model, file, { from: 0, length: file.size }, signal)).toString("utf8");
  }

  /**
   * A stretch of a file, in bytes.
   *
   * @throws HubError, CancelledError.
   */
  async bytes(
    model: HubModel,
    file: HubFile,
    { from, length }: { readonly from: number; readonly length: number },
    signal?: AbortSignal,
  ): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    const whole = from === 0 && length === file.size;
    const range = whole ? undefined : `bytes=${from}-${from + length - 1}`;
    for (let tries = 1; ; tries++) {
      const response = await this.open(model, file, range, signal);
      if (range !== undefined && response.status !== 206) {
        await response.body?.cancel().catch(() => undefined);
        throw damaged(model.name, `all of ${file.name} instead of a part`);
      }
      let content: Buffer;
      try {
        content = await readBody(response, { mostBytes: length, ...this.requests.retryPolicy });
      } catch (error) {
        if (signal?.aborted) throw new CancelledError();
        if (error instanceof BodyLimitError)
          throw damaged(model.name, `${file.name}, which ${error.message}`);
        if (tries < TEXT_TRIES) continue;
        const why = `the connection for ${file.name} kept breaking off (${reason(error)}); try later`;
        throw new HubError("offline", `${model.name}: ${why}`);
      }
      if (content.length === length) return content;
      throw damaged(model.name, `${content.length} bytes of ${file.name} instead of ${length}`);
    }
  }

  /**
   * Opens a file of a model, or the stretch of it that a `Range` header names.
   *
   * @returns the answer; 416 is left to the asker.
   * @throws HubError, CancelledError.
   */
  async open(
    model: HubModel,
    file: HubFile,
    range: string | undefined,
    signal?: AbortSignal,
  ): Promise<Response> {
    const { endpoint } = this.requests.settings;
    const { name, commit, revision } = model;
    return this.requests.get(`${endpoint}/${name}/resolve/${commit}/${file.name}`, {
      ...{ name, revision, signal, expected: [416] },
      headers: {
        // Ranges and checksums are of the content itself.
        "accept-encoding": "identity",
        ...(range === undefined ? {} : { range }),
      },
    });
  }

  #options(about: {
    readonly name?: string;
    readonly revision?: string;
    readonly signal?: AbortSignal | undefined;
  }) {
    return { hubUrl: this.requests.settings.endpoint, fetch: this.requests.asFetch(about) };
  }

  /** Runs calls of the library; an answer that it cannot read becomes one clear error. */
  async #library<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof InputError || error instanceof CancelledError) throw error;
      if (signal?.aborted) throw new CancelledError();
      if (error instanceof SyntaxError) {
        throw new HubError(
          "proxy",
          `${this.requests.settings.endpoint} answered with something that is no JSON; ` +
            "a proxy or a network's sign-in page may be in between",
        );
      }
      throw new HubError("damaged", `the hub's answer cannot be read (${reason(error)})`);
    }
  }
}

function damaged(name: string, what: string): HubError {
  return new HubError("damaged", `${name}: the hub returned invalid data: ${what}`);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** `license` of a model's card; one that is "other" has a name of its own. */
function cardLicence(card: Readonly<Record<string, unknown>>): string | undefined {
  const stated = [card.license].flat().filter((item) => typeof item === "string");
  const named = textOf(card.license_name);
  return named !== undefined && stated.includes("other") ? named : stated.join(", ") || undefined;
}

function taggedLicence(tags: unknown): string | undefined {
  if (!Array.isArray(tags)) return undefined;
  const tag = tags.find((item) => typeof item === "string" && item.startsWith("license:"));
  return typeof tag === "string" ? tag.slice("license:".length) : undefined;
}

/** Bytes of weights, given their count by element type. */
function bytesOf(parameters: unknown): number | undefined {
  if (typeof parameters !== "object" || parameters === null) return undefined;
  const sizes = Object.entries(parameters).map(([dtype, count]) =>
    typeof count === "number" ? count * (BYTES_PER_PARAMETER[dtype] ?? 2) : 0,
  );
  return sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0);
}
