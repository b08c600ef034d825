import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { CancelledError, InputError, throwIfCancelled } from "../common/errors.ts";
import { fileFailure, systemCode } from "../common/file-failure.ts";
import { formatBytes, formatSeconds } from "../common/format-size.ts";
import { CutError, within } from "./bodies.ts";
import { type CachedRepository, sizeOf } from "./cache.ts";
import type { HubClient, HubFile, HubModel } from "./client.ts";
import { HubError, noAnswer } from "./failures.ts";
import { proxyNamed, type RetryPolicy } from "./requests.ts";
import { freshHash, noteVerified } from "./verified.ts";

/** How often a file's download is taken up again without a byte having come in between. */
const TRIES = 5;

/** How far a file is: told after every piece. */
export interface TransferProgress {
  readonly phase: "download" | "check";
  /** Bytes of this file that have been written (download), or read back (check). */
  readonly done: number;
}

/**
 * Brings one file into the cache's blobs. What an earlier download left of it is continued; a broken
 * connection is taken up where it broke; content with another checksum is never kept.
 *
 * @throws HubError, InputError when the disk refuses, CancelledError. The part that was written stays
 *   for the next time, unless it is wrong.
 */
export async function transferFile(
  client: HubClient,
  repository: CachedRepository,
  model: HubModel,
  file: HubFile,
  tell: (progress: TransferProgress) => void,
  signal?: AbortSignal,
): Promise<void> {
  const part = repository.part(file.hash);
  await mkdir(dirname(part), { recursive: true }).catch((error) => {
    throw fileFailure(dirname(part), "the folder cannot be made", error);
  });
  const handle = await open(part, "a+").catch((error) => {
    throw fileFailure(part, "cannot be written", error);
  });
  const work = new Transfer(client, model, file, handle, tell, signal);
  try {
    await work.run(part);
    // On the disk before it has the name that says it is whole.
    await handle.sync();
  } finally {
    await handle.close();
  }
  const found = work.digest();
  if (found !== file.hash) {
    await rm(part, { force: true });
    throw new HubError(
      "damaged",
      `${model.name}: ${file.name} arrived with the checksum ${found}, but ${file.hash} was ` +
        "announced; what arrived was removed: download it again",
    );
  }
  await keepBlob(repository, file, part);
}

/** Gives a whole, right part its name, and notes that it was checked. */
async function keepBlob(repository: CachedRepository, file: HubFile, part: string): Promise<void> {
  const blob = repository.blob(file.hash);
  await rename(part, blob);
  await noteVerified(repository, file.hash, blob);
}

/** Notices a body that drips: too few bytes arrive in a stretch of time. */
class LeastRate {
  #since = performance.now();
  #bytes = 0;

  constructor(private readonly policy: RetryPolicy) {}

  /** @throws CutError when a stretch of `idleTimeoutMs` brought fewer than `leastBytes`. */
  received(bytes: number): void {
    this.#bytes += bytes;
    const { idleTimeoutMs, leastBytes } = this.policy;
    if (performance.now() - this.#since < idleTimeoutMs) return;
    if (this.#bytes < leastBytes) {
      const seconds = formatSeconds(idleTimeoutMs / 1000);
      throw new CutError(`only ${formatBytes(this.#bytes)} arrived in ${seconds}`);
    }
    this.#since = performance.now();
    this.#bytes = 0;
  }
}

class Transfer {
  #hash: Hash;
  /** Bytes in the part, all of them hashed. */
  #done = 0;

  constructor(
    private readonly client: HubClient,
    private readonly model: HubModel,
    private readonly file: HubFile,
    private readonly handle: FileHandle,
    private readonly tell: (progress: TransferProgress) => void,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#hash = freshHash(file);
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  /** Reads what is there, and downloads the rest. */
  async run(part: string): Promise<void> {
    const there = (await sizeOf(part)) ?? 0;
    if (there > this.file.size) await this.#startOver();
    else if (there > 0) await this.#readBack(part);
    let tries = 0;
    while (this.#done < this.file.size) {
      const before = this.#done;
      try {
        await this.#receive();
      } catch (error) {
        if (this.signal?.aborted) throw new CancelledError();
        if (error instanceof InputError) throw error;
        const { backoffMs, leastBytes } = this.client.requests.retryPolicy;
        tries = this.#done - before >= Math.min(leastBytes, this.file.size) ? 1 : tries + 1;
        if (tries >= TRIES) throw this.#broken(error);
        await this.client.requests.wait(backoffMs * 2 ** (tries - 1), this.signal);
      }
    }
  }

  async #readBack(part: string): Promise<void> {
    for await (const piece of createReadStream(part, { highWaterMark: 1 << 20 })) {
      throwIfCancelled(this.signal);
      this.#take(piece as Buffer);
      this.tell({ phase: "check", done: this.#done });
    }
  }

  async #receive(): Promise<void> {
    const { client, model, file, signal } = this;
    const from = this.#done;
    const range = from === 0 ? undefined : `bytes=${from}-`;
    const response = await client.open(model, file, range, signal);
    const body = response.body?.getReader();
    if (response.status === 416 || body === undefined) {
      await body?.cancel();
      await this.#startOver();
      throw new CutError("the server does not give what is still missing");
    }
    try {
      // A server that does not know ranges sends everything again.
      if (range !== undefined && response.status !== 206) await this.#startOver();
      else if (range !== undefined && !startsAt(response.headers, from)) {
        throw new CutError("another part than the one asked for arrived");
      }
      const rate = new LeastRate(client.requests.retryPolicy);
      for (;;) {
        const { done, value } = await within(
          client.requests.retryPolicy.idleTimeoutMs,
          () => body.read(),
          "no more data arrived",
        );
        if (done) break;
        rate.received(value.length);
        if (this.#done + value.length > file.size) {
          await this.#startOver();
          throw new HubError(
            "damaged",
            `${model.name}: ${file.name} does not end after its ${file.size} bytes; ` +
              "what arrived was removed: download it again",
          );
        }
        await this.#write(value);
        this.tell({ phase: "download", done: this.#done });
        throwIfCancelled(signal);
      }
      if (this.#done < file.size) throw new CutError("the connection ended early");
    } finally {
      await body.cancel().catch(() => undefined);
    }
  }

  async #write(piece: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < piece.length; ) {
        at += (await this.handle.write(piece, at, piece.length - at)).bytesWritten;
      }
    } catch (error) {
      throw diskFailure(error, this.file);
    }
    this.#take(piece);
  }

  #take(piece: Uint8Array): void {
    this.#hash.update(piece);
    this.#done += piece.length;
  }

  async #startOver(): Promise<void> {
    await this.handle.truncate(0);
    this.#hash = freshHash(this.file);
    this.#done = 0;
  }

  #broken(error: unknown): HubError {
    const { endpoint } = this.client.requests.settings;
    if (!(error instanceof CutError)) return noAnswer(error, endpoint, proxyNamed());
    const { name, size } = this.file;
    return new HubError(
      "offline",
      `${this.model.name}: the connection for ${name} kept breaking off (${error.message}); ` +
        `${formatBytes(this.#done)} of ${formatBytes(size)} are kept: the next download goes on from there`,
    );
  }
}

/** Whether `Content-Range: bytes 100-199/200` begins where it should. */
function startsAt(headers: Headers, from: number): boolean {
  return new RegExp(`^bytes ${from}-`).test(headers.get("content-range") ?? "");
}

function diskFailure(error: unknown, { name }: HubFile): InputError {
  if (["ENOSPC", "EDQUOT"].includes(systemCode(error) ?? "")) {
    return new InputError(
      `${name}: the disk of the model cache is full; what has arrived is kept: make room and ` +
        "download again, or name another folder in HF_HOME",
    );
  }
  return fileFailure(name, "cannot be written to the model cache", error);
}
