import { readdir, readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { readModelSpec } from "../../engine/families/registry.ts";

/** Where a listed model comes from. */
export type ModelOrigin = "embedded" | "cache" | "added";

/** A model folder as the Models view lists it. */
export interface ListedModel {
  readonly name: string;
  readonly folder: string;
  readonly origin: ModelOrigin;
  /** Bytes of its weight files. */
  readonly bytes: number;
  readonly support:
    | {
        readonly ok: true;
        readonly family: string;
        readonly layers: number;
        readonly heads: number;
      }
    /** `family` is what config.json calls it, or "" when that cannot be read. */
    | { readonly ok: false; readonly family: string; readonly why: string };
}

/** The hub's cache folder, as the Hugging Face libraries find it. */
export function hubCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.HF_HUB_CACHE) return environment.HF_HUB_CACHE;
  if (environment.HF_HOME) return join(environment.HF_HOME, "hub");
  const cache = environment.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(cache, "huggingface", "hub");
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

/** Snapshot of a cached repository: the one `refs/main` names, else the newest on disk. */
async function currentSnapshot(repository: string): Promise<string | undefined> {
  const snapshots = join(repository, "snapshots");
  const revisions = await names(snapshots);
  const main = await readFile(join(repository, "refs", "main"), "utf8").catch(() => "");
  if (revisions.includes(main.trim())) return join(snapshots, main.trim());
  const dated = await Promise.all(
    revisions.map(async (revision) => {
      const folder = join(snapshots, revision);
      const time = await stat(folder).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      return { folder, time };
    }),
  );
  return dated.sort((a, b) => b.time - a.time)[0]?.folder;
}

/**
 * Model folders of a Hugging Face cache (`models--<owner>--<name>/snapshots/<revision>`) that have
 * been downloaded as far as their config.json.
 */
export async function cachedModels(
  cache: string,
): Promise<{ readonly name: string; readonly folder: string }[]> {
  const found: { name: string; folder: string }[] = [];
  for (const entry of await names(cache)) {
    if (!entry.startsWith("models--")) continue;
    const folder = await currentSnapshot(join(cache, entry));
    if (folder === undefined || !(await names(folder)).includes("config.json")) continue;
    found.push({ name: entry.slice("models--".length).replaceAll("--", "/"), folder });
  }
  return found;
}

async function weightBytes(folder: string): Promise<number> {
  const files = (await names(folder)).filter((name) =>
    /\.(safetensors|bin|pt|pth|gguf)$/.test(name),
  );
  const sizes = await Promise.all(
    files.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function statedFamily(folder: string): Promise<string> {
  try {
    const config: unknown = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
    const stated = (config as { model_type?: unknown } | null)?.model_type;
    return typeof stated === "string" ? stated : "";
  } catch {
    return "";
  }
}

/**
 * Looks at one model folder. Whatever is wrong with it is part of the answer: this never rejects.
 */
export async function describeModel(
  name: string,
  folder: string,
  origin: ModelOrigin,
): Promise<ListedModel> {
  const bytes = await weightBytes(folder);
  try {
    const spec = await readModelSpec(folder);
    const { layers, heads } = spec.decoder;
    const support = { ok: true, family: spec.family, layers: layers.length, heads } as const;
    return { name, folder, origin, bytes, support };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return {
      name,
      folder,
      origin,
      bytes,
      support: { ok: false, family: await statedFamily(folder), why },
    };
  }
}
