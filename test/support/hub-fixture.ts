import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HubClient } from "../../src/hub/client.ts";
import { type Access, HubRequests, type RetryPolicy } from "../../src/hub/requests.ts";
import type { HubSettings } from "../../src/hub/settings.ts";
import { ROOT } from "./bundle.ts";
import { HubServer } from "./hub-server.ts";

export const MODEL = "lab/Tiny-Video";

/** Waits of a test, in milliseconds. */
export const IMPATIENT: RetryPolicy = {
  responseTimeoutMs: 2_000,
  idleTimeoutMs: 300,
  totalTimeoutMs: 2_000,
  leastBytes: 1_000,
  backoffMs: 1,
  maxRetryAfterMs: 2_000,
};

/** Files that must never be fetched: code, pickled and duplicate weights. */
const DECOYS: Readonly<Record<string, Buffer>> = {
  "modeling_tiny.py": Buffer.from("raise SystemExit\n"),
  "pytorch_model.bin": Buffer.alloc(5_000, 1),
  "consolidated.safetensors": Buffer.alloc(5_000, 2),
  "README.md": Buffer.from("# Tiny\n"),
};

/** A sharded checkpoint of three shards, as its files. */
export function tinyFiles(): Record<string, Buffer> {
  const folder = join(ROOT, "test", "parity", "fixtures", "b-gqa-sharded");
  const names = readdirSync(folder).filter((name) => !/^(expected|frames)/.test(name));
  const files = names.map((name) => [name, readFileSync(join(folder, name))] as const);
  return { ...Object.fromEntries(files), ...DECOYS };
}

/** The files that a download of `tinyFiles` consists of. */
export function neededFiles(files: Readonly<Record<string, Buffer>>): string[] {
  return Object.keys(files)
    .filter((name) => !(name in DECOYS))
    .sort();
}

/** A server with one model, and a cache folder of its own. */
export class HubFixture {
  readonly cache = mkdtempSync(join(tmpdir(), "flowprobe-hub-"));

  private constructor(readonly server: HubServer) {}

  static async start(): Promise<HubFixture> {
    const server = await HubServer.start();
    server.models.set(MODEL, {
      files: tinyFiles(),
      card: { license: "apache-2.0" },
      config: { model_type: "llava" },
      task: "video-text-to-text",
      downloads: 10,
      parameters: { BF16: 1_000 },
    });
    return new HubFixture(server);
  }

  client(access: Partial<Access> = {}, settings: Partial<HubSettings> = {}): HubClient {
    const { endpoint } = this.server;
    const requests = new HubRequests(
      { endpoint, cache: this.cache, offline: false, ...settings },
      { tokenAdvice: "set HF_TOKEN", retryPolicy: IMPATIENT, ...access },
    );
    return new HubClient(requests);
  }

  /** Files of a folder in the cache, wherever below it; empty when it is not there. */
  files(...path: string[]): string[] {
    try {
      return readdirSync(join(this.cache, `models--${MODEL.replace("/", "--")}`, ...path), {
        recursive: true,
      })
        .map(String)
        .sort();
    } catch {
      return [];
    }
  }

  blob(hash: string): string {
    return join(this.cache, `models--${MODEL.replace("/", "--")}`, "blobs", hash);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.cache, { recursive: true, force: true });
  }
}
