import assert from "node:assert/strict";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readSafetensorsHeader } from "../../src/engine/checkpoint/safetensors.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { isNative } from "../../src/engine/families/shared/spec.ts";
import { sourceSwitches } from "../../src/engine/service/environment.ts";
import { VisionCache } from "../../src/engine/vision-cache/cache.ts";
import { featureKey, visionIdentity } from "../../src/engine/vision-cache/key.ts";
import { featureFolder } from "../../src/engine/vision-cache/place.ts";
import { FeatureStore } from "../../src/engine/vision-cache/store.ts";
import { startChild } from "../support/child.ts";
import { randomCheckpoint, TINY } from "../support/random-checkpoint.ts";

const LAYOUT = { count: 6, width: 4, grid: [1, 2, 3] } as const;
const KEY = "a".repeat(64);
const OTHER = "b".repeat(64);

/** Features that differ in every number, with what fp32 can hold besides plain numbers. */
function features(seed: number): Float32Array {
  const tokens = Float32Array.from({ length: 24 }, (_, i) => Math.fround(seed + i / 7));
  tokens[3] = -0;
  tokens[5] = 1e-42;
  return tokens;
}

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "flowprobe-features-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("features kept on the disk", () => {
  let folder: string;
  beforeEach(() => {
    folder = join(root, "deep", "vision");
  });
  const path = (key: string) => join(folder, `${key}.safetensors`);
  const names = () => readdirSync(folder).sort();
  const size = () => statSync(path(KEY)).size;

  test("come back to the bit, in another process too, from a plain safetensors file", async () => {
    const store = new FeatureStore(folder);
    assert.deepEqual(await store.read(KEY, LAYOUT), { kind: "absent" });
    await store.write(KEY, LAYOUT, features(1));
    const found = await new FeatureStore(folder).read(KEY, LAYOUT);
    assert.ok(found.kind === "found");
    assert.deepEqual(new Uint8Array(found.tokens.buffer), new Uint8Array(features(1).buffer));
    assert.deepEqual(names(), [`${KEY}.safetensors`], "nothing is left of the writing");
    const header = await readSafetensorsHeader(path(KEY));
    assert.deepEqual(header.get("tokens")?.shape, [6, 4]);
    assert.equal(header.get("tokens")?.dtype, "F32");
    assert.deepEqual(header.get("grid")?.shape, [3]);
  });

  for (const [what, harm] of [
    ["is cut off", (file: string) => truncateSync(file, size() - 5)],
    ["is empty", (file: string) => truncateSync(file, 0)],
    ["is longer than it says", (file: string) => truncateSync(file, size() + 8)],
    ["has another bit in its data", (file: string) => flip(file, size() - 32 - 12 - 9)],
    ["has another bit in its checksum", (file: string) => flip(file, size() - 1)],
    ["has another header", (file: string) => flip(file, 20)],
    ["claims a header of any length", (file: string) => flip(file, 6)],
    ["is another clip's under this name", (file: string) => cpSync(path(OTHER), file)],
  ] as const) {
    test(`an entry that ${what} is found out and replaced`, async () => {
      const store = new FeatureStore(folder);
      await store.write(KEY, LAYOUT, features(1));
      await store.write(OTHER, LAYOUT, features(2));
      harm(path(KEY));
      assert.deepEqual(await store.read(KEY, LAYOUT), { kind: "damaged" });
      await store.write(KEY, LAYOUT, features(1));
      assert.equal((await store.read(KEY, LAYOUT)).kind, "found");
    });
  }

  test("an entry of another layout is not taken, even of as many numbers", async () => {
    const store = new FeatureStore(folder);
    await store.write(KEY, LAYOUT, features(1));
    for (const layout of [
      { ...LAYOUT, grid: [3, 2, 1] as const },
      { ...LAYOUT, count: 4, width: 6 },
    ]) {
      assert.deepEqual(await store.read(KEY, layout), { kind: "damaged" });
    }
  });

  test("the entries used least recently go first when there are too many bytes", async () => {
    const store = new FeatureStore(folder);
    await store.write(KEY, LAYOUT, features(1));
    const two = new FeatureStore(folder, { bytes: 2.5 * size(), entries: 10 });
    await two.write(OTHER, LAYOUT, features(2));
    const long = new Date(Date.now() - 60_000);
    utimesSync(path(KEY), long, long);
    utimesSync(path(OTHER), long, new Date(long.getTime() + 1_000));
    assert.equal((await two.read(KEY, LAYOUT)).kind, "found", "used: now the newer one");
    const third = "c".repeat(64);
    writeFileSync(join(folder, "notes.txt"), "of somebody else");
    await two.write(third, LAYOUT, features(3));
    assert.deepEqual(names(), [KEY, third].map((key) => `${key}.safetensors`).concat("notes.txt"));
  });

  test("and when there are too many of them; what a killed process left goes after an hour", async () => {
    const store = new FeatureStore(folder, { bytes: 1e9, entries: 1 });
    await store.write(KEY, LAYOUT, features(1));
    const part = (letter: string) => `${KEY}.${letter.repeat(36)}.part`;
    for (const letter of ["a", "b"]) writeFileSync(join(folder, part(letter)), "half");
    const long = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(join(folder, part("a")), long, long);
    await store.write(OTHER, LAYOUT, features(2));
    assert.deepEqual(names(), [part("b"), `${OTHER}.safetensors`].sort());
  });

  test("what alone is larger than the store is not kept, and drops nothing", async () => {
    const store = new FeatureStore(folder);
    await store.write(KEY, LAYOUT, features(1));
    const small = new FeatureStore(folder, { bytes: 90, entries: 10 });
    await small.write(OTHER, LAYOUT, features(2));
    assert.deepEqual(names(), [`${KEY}.safetensors`]);
  });

  test("two processes may write, read and drop the same entries at once", async () => {
    const ended = await Promise.all([1, 2].map(() => writer(folder, 60, 2)));
    for (const { code, stdout, stderr } of ended) {
      assert.equal(code, 0, stderr);
      const { found, dropped } = JSON.parse(stdout);
      assert.ok(found > 0 && dropped > 0, stdout);
    }
    const left = names();
    assert.ok(left.length > 0 && left.length <= 3, "not more than fit");
    for (const name of left) assert.match(name, /^[0-4]{64}\.safetensors$/);
  });

  // A limit on the size of files stands for a disk that fills up in the middle of an entry.
  test("a write that fails half-way leaves nothing behind", async () => {
    const { code, stderr } = await writer(folder, 1, 1, 'trap "" XFSZ; ulimit -f 16; ');
    assert.notEqual(code, 0);
    assert.match(stderr, /EFBIG/);
    assert.deepEqual(names(), []);
  });
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** Runs `feature-writer.ts`, with others that begin together, under a shell's limit when one is given. */
function writer(folder: string, rounds: number, together: number, limit = "") {
  const writing = fileURLToPath(new URL("../support/feature-writer.ts", import.meta.url));
  const numbers = [rounds, together].map(String);
  const node = [process.execPath, ...sourceSwitches(), writing, folder, ...numbers];
  const [program, ...args] = limit === "" ? node : ["sh", "-c", `${limit}exec "$@"`, "sh", ...node];
  return startChild(program ?? "", args).ended;
}

describe("the cache of features", () => {
  /** Asks for features and says how often they were computed, and what was told. */
  async function ask(cache: VisionCache, key: string, seed = 1) {
    let computed = 0;
    const told: string[] = [];
    const found = await cache.features(
      key,
      LAYOUT,
      async () => {
        computed++;
        return features(seed);
      },
      (message) => told.push(message),
    );
    assert.deepEqual(found.tokens, features(seed));
    assert.equal(found.cached, computed === 0);
    return { computed, told };
  }

  test("computes once for a key, and another process finds it on the disk", async () => {
    const cache = new VisionCache(2, new FeatureStore(root));
    assert.equal((await ask(cache, KEY)).computed, 1);
    assert.equal((await ask(cache, KEY)).computed, 0);
    assert.equal((await ask(cache, OTHER, 2)).computed, 1);
    const later = new VisionCache(2, new FeatureStore(root));
    assert.equal((await ask(later, KEY)).computed, 0);
    rmSync(root, { recursive: true });
    assert.equal((await ask(later, KEY)).computed, 0, "in memory from then on");
  });

  test("without a folder keeps the latest clips only", async () => {
    const cache = new VisionCache(1);
    assert.equal((await ask(cache, KEY)).computed, 1);
    assert.equal((await ask(cache, OTHER)).computed, 1);
    assert.equal((await ask(cache, KEY)).computed, 1);
  });

  test("tells of a damaged entry, computes, and keeps the new one", async () => {
    await ask(new VisionCache(1, new FeatureStore(root)), KEY);
    truncateSync(join(root, `${KEY}.safetensors`), 100);
    const { computed, told } = await ask(new VisionCache(1, new FeatureStore(root)), KEY);
    assert.equal(computed, 1);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", /damaged/);
    const after = await ask(new VisionCache(1, new FeatureStore(root)), KEY);
    assert.deepEqual(after, { computed: 0, told: [] });
  });

  test("tells once of a folder that cannot be written, and goes on", async () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    const cache = new VisionCache(1, new FeatureStore(join(file, "vision")));
    const first = await ask(cache, KEY);
    assert.deepEqual([first.computed, first.told.length], [1, 1]);
    assert.match(first.told[0] ?? "", /file.vision: .*cannot be kept there.*is a file/);
    assert.deepEqual(await ask(cache, OTHER), { computed: 1, told: [] });
  });

  test("a failing computation is told as it is, and not kept", async () => {
    const cache = new VisionCache(1, new FeatureStore(root));
    const fail = () => Promise.reject(new Error("stopped"));
    await assert.rejects(
      cache.features(KEY, LAYOUT, fail, () => {}),
      /stopped/,
    );
    assert.equal((await ask(cache, KEY)).computed, 1);
  });
});

describe("the key of a clip's features", () => {
  const data = Float32Array.from({ length: 2 * 3 * 4 * 6 }, (_, i) => i / 9);
  const pixels = { data, shape: [2, 3, 4, 6] as const };

  test("is another for other pixels, another shape of them, another model", () => {
    const key = featureKey("model", pixels);
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.equal(featureKey("model", { data: data.slice(), shape: [2, 3, 4, 6] }), key);
    const changed = data.slice();
    changed[143] = 1e-42;
    const others = [
      featureKey("model", { data: changed, shape: [2, 3, 4, 6] }),
      featureKey("model", { data, shape: [2, 3, 6, 4] }),
      featureKey("model", { data: data.subarray(0, 72), shape: [1, 3, 4, 6] }),
      featureKey("another", pixels),
    ];
    assert.equal(new Set([key, ...others]).size, 5);
  });

  test("part of a larger array counts alone", () => {
    const long = new Float32Array(2 * data.length);
    long.set(data, data.length);
    const part = { data: long.subarray(data.length), shape: [2, 3, 4, 6] as const };
    assert.equal(featureKey("model", part), featureKey("model", pixels));
  });

  test("knows a model by its files, its vision tower and what runs it", async () => {
    const folder = await randomCheckpoint(root, TINY);
    const weights = join(folder, "model.safetensors");
    const identity = async (runtime = "cpu") =>
      visionIdentity(await readModelSpec(folder), runtime);
    const first = await identity();
    assert.equal(await identity(), first);
    assert.notEqual(await identity("cuda"), first);

    const { atime, mtime } = statSync(weights);
    utimesSync(weights, atime, new Date(mtime.getTime() + 1));
    const touched = await identity();
    assert.notEqual(touched, first, "written anew");

    const spec = await readModelSpec(folder);
    if (isNative(spec)) assert.fail("a model with square pictures");
    const others = await Promise.all([
      visionIdentity({ ...spec, vision: { ...spec.vision, normEps: 1e-6 } }, "cpu"),
      visionIdentity({ ...spec, vision: { ...spec.vision, layers: [] } }, "cpu"),
      visionIdentity({ ...spec, frames: spec.frames + 1 }, "cpu"),
    ]);
    assert.equal(new Set([touched, ...others]).size, 4);
    const { decoder } = spec;
    const longer = { ...spec, decoder: { ...decoder, normEps: 1, vocabSize: 3 } };
    assert.equal(
      await visionIdentity(longer, "cpu"),
      touched,
      "what the decoder does is no part of it",
    );

    const copy = join(root, "copy");
    cpSync(folder, copy, { recursive: true, preserveTimestamps: true });
    const elsewhere = await visionIdentity(await readModelSpec(copy), "cpu");
    assert.notEqual(elsewhere, touched);
  });
});

describe("where features are kept", () => {
  const linux = { environment: {}, platform: "linux", home: "/home/me" } as const;

  test("in the user's cache folder of each platform, or where the extension says", () => {
    assert.equal(featureFolder(undefined, linux), join("/home/me/.cache/flowprobe/vision"));
    const xdg = { ...linux, environment: { XDG_CACHE_HOME: "/caches" } };
    assert.equal(featureFolder(undefined, xdg), join("/caches/flowprobe/vision"));
    const relative = { ...linux, environment: { XDG_CACHE_HOME: "caches" } };
    assert.equal(featureFolder(undefined, relative), join("/home/me/.cache/flowprobe/vision"));
    assert.equal(
      featureFolder(undefined, { ...linux, platform: "darwin" }),
      join("/home/me/Library/Caches/flowprobe/vision"),
    );
    const windows = {
      ...linux,
      platform: "win32",
      environment: { LOCALAPPDATA: "/local" },
    } as const;
    assert.equal(featureFolder(undefined, windows), join("/local/flowprobe/Cache/vision"));
    assert.equal(featureFolder("/storage", xdg), join("/storage/vision"));
  });

  test("FLOWPROBE_CACHE chooses another folder, or none, for both", () => {
    for (const usual of [undefined, "/storage"]) {
      const at = (value: string) =>
        featureFolder(usual, { ...linux, environment: { FLOWPROBE_CACHE: value } });
      assert.equal(at("/other"), join("/other/vision"));
      assert.equal(at("off"), undefined);
      assert.equal(at("OFF "), undefined);
      assert.notEqual(at(" "), undefined);
    }
  });
});
