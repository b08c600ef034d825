import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import { locateWeights } from "../../src/engine/checkpoint/weights.ts";

let folder = "";
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "flowprobe-")));
});
afterEach(() => rm(folder, { recursive: true }));

/** Writes a shard of one-element F32 tensors. */
async function shard(file: string, names: string[]): Promise<void> {
  const header = Buffer.from(
    JSON.stringify(
      Object.fromEntries(
        names.map((name, i) => [
          name,
          { dtype: "F32", shape: [1], data_offsets: [4 * i, 4 * i + 4] },
        ]),
      ),
    ),
  );
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  await writeFile(file, Buffer.concat([prefix, header, Buffer.alloc(4 * names.length)]));
}

const index = (map: Record<string, unknown>) =>
  writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));

const refuses = (message: RegExp) =>
  assert.rejects(locateWeights(folder), (error) => {
    assert.ok(error instanceof ModelError);
    assert.match(error.message, message);
    return true;
  });

test("a single file", async () => {
  await shard(join(folder, "model.safetensors"), ["a", "b"]);
  const { root, tensors } = await locateWeights(folder);
  assert.equal(root, folder);
  assert.deepEqual([...tensors.keys()], ["a", "b"]);
});

test("shards behind a cache's symbolic links share the deepest folder of the real files", async () => {
  const snapshot = join(folder, "snapshots", "0123");
  const blobs = join(folder, "blobs");
  await mkdir(snapshot, { recursive: true });
  await mkdir(join(blobs, "x"), { recursive: true });
  await shard(join(blobs, "aa"), ["a"]);
  await shard(join(blobs, "x", "bb"), ["b"]);
  await symlink("../../blobs/aa", join(snapshot, "1.safetensors"));
  await symlink("../../blobs/x/bb", join(snapshot, "2.safetensors"));
  await writeFile(
    join(snapshot, "model.safetensors.index.json"),
    JSON.stringify({ weight_map: { a: "1.safetensors", b: "2.safetensors" } }),
  );
  const { root, tensors } = await locateWeights(snapshot);
  assert.equal(root, blobs);
  assert.equal(tensors.get("b")?.file, join(blobs, "x", "bb"));
});

test("a missing shard, and a tensor that is not where the index says", async () => {
  await shard(join(folder, "1.safetensors"), ["a"]);
  await index({ a: "1.safetensors", b: "2.safetensors" });
  await refuses(/2\.safetensors: this shard is missing/);
  await shard(join(folder, "2.safetensors"), ["c"]);
  await refuses(/places tensor "b" here/);
});

test("an index must not lead out of its folder", async () => {
  await index({ a: "../1.safetensors" });
  await refuses(/"a" is placed in "\.\.\/1\.safetensors"/);
});

test("folders without safetensors say what is there instead", async () => {
  await refuses(/neither model\.safetensors nor/);
  await writeFile(join(folder, "pytorch_model-00001-of-00002.bin"), "");
  await refuses(/pickled \(pytorch_model-00001/);
  await writeFile(join(folder, "adapter_config.json"), "{}");
  await refuses(/only an adapter/);
});
