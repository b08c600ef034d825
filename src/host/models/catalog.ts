import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { inspectModel } from "../../engine/model-files.ts";

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

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((): string[] => [])).sort();
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
    const { spec, missing } = await inspectModel(folder);
    if (missing.length > 0) {
      const why = missing.map((one) => `${one.why} (${one.help})`).join("; ");
      return { name, folder, origin, bytes, support: { ok: false, family: spec.family, why } };
    }
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
