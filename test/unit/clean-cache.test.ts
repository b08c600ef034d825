import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { KeptRun } from "../../src/engine/clean-cache/kept-run.ts";
import { blockOffsets, fileBytes } from "../../src/engine/clean-cache/layout.ts";
import { CleanRecord, DamagedRecord } from "../../src/engine/clean-cache/record.ts";
import { CleanStore, cleanKey } from "../../src/engine/clean-cache/store.ts";
import { CleanWriter } from "../../src/engine/clean-cache/writer.ts";
import { Noise } from "../support/random-checkpoint.ts";

const LAYOUT = { length: 5, width: 6, kvWidth: 4, layers: 3 } as const;
const KEY = "a".repeat(64);
const OTHER = "b".repeat(64);
const SIZE = fileBytes(LAYOUT);
const LIMITS = { bytes: 1e9, entries: 100 } as const;

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "flowprobe-clean-"));
});
after(() => rmSync(root, { recursive: true }));
const newFolder = () => mkdtempSync(join(root, "store-"));

/** The numbers of a run, by block. */
function numbers(seed: number): Float32Array[] {
  const offsets = blockOffsets(LAYOUT);
  return offsets
    .slice(1)
    .map((end, i) => new Noise(seed + i).draw((end - (offsets[i] ?? 0)) / 4, 1));
}

async function write(writer: CleanWriter | undefined, blocks = numbers(1)): Promise<void> {
  for (let layer = 0; layer < LAYOUT.layers; layer++) {
    const [hidden, k, v] = blocks.slice(3 * layer) as [Float32Array, Float32Array, Float32Array];
    await writer?.layer(layer, hidden, { k, v });
  }
  await writer?.last(blocks.at(-1) as Float32Array);
}

/** All of a record, as `numbers` gives it. */
function readAll(record: CleanRecord): Float32Array[] {
  const into = numbers(0).map((block) => new Float32Array(block.length));
  for (let layer = 0; layer < LAYOUT.layers; layer++) {
    const [hidden, k, v] = into.slice(3 * layer) as [Float32Array, Float32Array, Float32Array];
    record.hidden(layer, hidden);
    record.keys(layer, { k, v });
  }
  record.hidden(LAYOUT.layers, into.at(-1) as Float32Array);
  return into;
}

async function keep(store: CleanStore, key: string): Promise<void> {
  const writer = await store.begin(key, LAYOUT);
  await write(writer);
  assert.ok(writer !== undefined);
  assert.equal(await store.end(key, writer, true), undefined);
}

test("a run that was kept comes back as it was", async () => {
  const store = new CleanStore(newFolder(), LIMITS);
  assert.equal(await store.find(KEY, LAYOUT), undefined);
  await keep(store, KEY);
  assert.deepEqual(readdirSync(store.folder), [`${KEY}.clean`]);
  assert.equal(statSync(join(store.folder, `${KEY}.clean`)).size, SIZE);
  const record = await store.find(KEY, LAYOUT);
  assert.ok(record !== undefined);
  assert.deepEqual(readAll(record), numbers(1));
  assert.deepEqual(readAll(record), numbers(1), "once more, unchecked");
  record.close();
});

test("another key, or other extents, find nothing", async () => {
  const store = new CleanStore(newFolder(), LIMITS);
  await keep(store, KEY);
  assert.equal(await store.find(OTHER, LAYOUT), undefined);
  // The same size, other extents.
  const turned = { ...LAYOUT, length: 10, width: 3, kvWidth: 2 };
  assert.equal(fileBytes(turned), SIZE);
  assert.equal(await store.find(KEY, turned), undefined);
  assert.ok(!existsSync(join(store.folder, `${KEY}.clean`)), "it was not what its name says");
});

test("every byte that changes is found", async () => {
  const folder = newFolder();
  const path = join(folder, "run");
  const writer = new CleanWriter(path, KEY, LAYOUT);
  await write(writer);
  assert.ok(await writer.finish());
  const whole = readFileSync(path);
  const { next } = new Noise(4);
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(whole);
    const at = Math.floor(next() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 + Math.floor(next() * 255));
    writeFileSync(path, bytes);
    assert.throws(() => readAll(CleanRecord.open(path, KEY, LAYOUT)), DamagedRecord, `byte ${at}`);
  }
  for (const length of [0, 100, SIZE - 1, SIZE + 1]) {
    writeFileSync(path, Buffer.concat([whole, whole]).subarray(0, length));
    assert.throws(() => CleanRecord.open(path, KEY, LAYOUT), DamagedRecord, `${length} bytes`);
  }
});

test("a run that was not completed leaves nothing", async () => {
  const store = new CleanStore(newFolder(), LIMITS);
  const cancelled = await store.begin(KEY, LAYOUT);
  assert.ok(cancelled !== undefined);
  await cancelled.layer(0, ...firstLayer());
  await store.end(KEY, cancelled, false);
  const short = await store.begin(KEY, LAYOUT);
  assert.ok(short !== undefined);
  await short.layer(0, ...firstLayer());
  await store.end(KEY, short, true);
  assert.deepEqual(readdirSync(store.folder), []);
});

function firstLayer(): [Float32Array, { k: Float32Array; v: Float32Array }] {
  const [hidden, k, v] = numbers(1) as [Float32Array, Float32Array, Float32Array];
  return [hidden, { k, v }];
}

test("two writers of one run do not disturb each other", async () => {
  const store = new CleanStore(newFolder(), LIMITS);
  const [one, two] = [await store.begin(KEY, LAYOUT), await store.begin(KEY, LAYOUT)];
  assert.ok(one !== undefined && two !== undefined);
  await write(one);
  await write(two);
  await store.end(KEY, two, true);
  const record = await store.find(KEY, LAYOUT);
  await store.end(KEY, one, true);
  assert.ok(record !== undefined);
  assert.deepEqual(readAll(record), numbers(1));
  record.close();
  assert.deepEqual(readdirSync(store.folder), [`${KEY}.clean`]);
});

test("the runs used least recently go first, and stale parts with them", async () => {
  const store = new CleanStore(newFolder(), { bytes: 2 * SIZE, entries: 10 });
  const keys = ["1", "2", "3"].map((digit) => digit.repeat(64)) as [string, string, string];
  const path = (key: string) => join(store.folder, `${key}.clean`);
  await keep(store, keys[0]);
  await keep(store, keys[1]);
  for (const [i, key] of keys.slice(0, 2).entries()) utimesSync(path(key), 100 + i, 100 + i);
  const part = join(store.folder, `${KEY}.${"0".repeat(8)}-0000-4000-8000-${"0".repeat(12)}.part`);
  writeFileSync(part, "x");
  utimesSync(part, 100, 100);
  (await store.find(keys[0], LAYOUT))?.close();
  await keep(store, keys[2]);
  assert.deepEqual(readdirSync(store.folder).sort(), [`${keys[0]}.clean`, `${keys[2]}.clean`]);
});

test("nothing is kept beyond the limit, or where it is 0", async () => {
  for (const bytes of [0, SIZE - 1]) {
    const store = new CleanStore(join(root, "none"), { bytes, entries: 10 });
    assert.equal(await store.begin(KEY, LAYOUT), undefined);
    assert.ok(!existsSync(store.folder));
  }
});

test("a folder that cannot be written is told once", async (context) => {
  const folder = newFolder();
  chmodSync(folder, 0o500);
  const blocked = join(folder, "clean");
  if (process.getuid?.() === 0) {
    // Root may write anywhere but through a file.
    writeFileSync(join(folder, "file"), "");
    context.diagnostic("as root: the folder lies in a file");
  }
  const place = process.getuid?.() === 0 ? join(folder, "file", "clean") : blocked;
  const run = await KeptRun.find(new CleanStore(place, LIMITS), KEY, LAYOUT);
  let passes = 0;
  const pass = async (writer: CleanWriter | undefined) => {
    passes++;
    await write(writer);
  };
  assert.match((await run.keep(pass)) ?? "", /the clean run is not kept: .* cannot be written/);
  assert.equal(await run.keep(pass), undefined);
  assert.equal(run.record, undefined);
  assert.equal(passes, 2);
});

test("a kept run is there for the next pass, and gone when it is given up", async () => {
  const store = new CleanStore(newFolder(), LIMITS);
  const run = await KeptRun.find(store, KEY, LAYOUT);
  assert.equal(await run.keep(write), undefined);
  assert.ok(run.record !== undefined);
  let asked: CleanWriter | undefined;
  await run.keep(async (writer) => {
    asked = writer;
  });
  assert.equal(asked, undefined, "what is kept is not written again");
  const again = await KeptRun.find(store, KEY, LAYOUT);
  assert.ok(again.record !== undefined, "by another process, too");
  again.close();
  await run.drop();
  assert.equal((await KeptRun.find(store, KEY, LAYOUT)).record, undefined);
  await assert.rejects(
    run.keep(async () => {
      throw new Error("stopped");
    }),
    /stopped/,
  );
  assert.deepEqual(readdirSync(store.folder), []);
});

test("a key tells weights, precision, positions and rows apart", () => {
  const rows = new Noise(1).draw(30, 1);
  const other = rows.slice();
  other[29] = (other[29] ?? 0) + 1e-6;
  const keys = [
    cleanKey(["model", "float32"], undefined, rows),
    cleanKey(["model", "float16"], undefined, rows),
    cleanKey(["model", "float32"], [[0, 1]], rows),
    cleanKey(["model", "float32"], [Int32Array.of(0, 2)], rows),
    cleanKey(["model", "float32"], undefined, other),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(cleanKey(["model", "float32"], [Int32Array.of(0, 1)], rows), keys[2]);
});
