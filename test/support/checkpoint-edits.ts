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

/**
 * Rewrites the header of model.safetensors; the data stays as it is. Bytes of a tensor that was taken
 * out go to one that nobody reads, as a file may not have holes.
 */
export function editHeader(folder: string, change: (header: Record<string, Json>) => void): void {
  const path = join(folder, "model.safetensors");
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, Json>;
  const ranges = Object.values(header).map(({ data_offsets }) => data_offsets as number[]);
  change(header);
  const kept = new Set(Object.values(header).map(({ data_offsets }) => String(data_offsets)));
  for (const range of ranges) {
    if (range === undefined || kept.has(String(range))) continue;
    const [begin = 0, end = 0] = range;
    header[`unused.${begin}`] = { dtype: "U8", shape: [end - begin], data_offsets: range };
  }
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([prefix, text, bytes.subarray(8 + length)]));
}
