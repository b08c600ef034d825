import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

type Json = Record<string, unknown>;

/** Rewrites config.json of a checkpoint. */
export function editConfig(folder: string, change: (config: Json) => Json): void {
  const path = join(folder, "config.json");
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, "utf8")) as Json)));
}

/** A copy of a config with some keys of one section replaced; undefined removes a key. */
export function withSection(config: Json, section: string, keys: Json): Json {
  return { ...config, [section]: { ...(config[section] as Json), ...keys } };
}

/** Rewrites the header of model.safetensors; the data stays as it is. */
export function editHeader(folder: string, change: (header: Record<string, Json>) => void): void {
  const path = join(folder, "model.safetensors");
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, Json>;
  change(header);
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([prefix, text, bytes.subarray(8 + length)]));
}
