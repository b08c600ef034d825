import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import {
  parseSafetensorsHeader,
  readSafetensorsHeader,
  safetensorsHeaderBytes,
} from "../../src/engine/checkpoint/safetensors.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "flowprobe-"));
});
after(() => rm(folder, { recursive: true }));

/** Writes a safetensors file with the given header text and as many data bytes. */
async function write(header: string | object, dataBytes: number): Promise<string> {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  const file = join(folder, "model.safetensors");
  await writeFile(file, Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]));
  return file;
}

function refuses(file: string, message: RegExp): Promise<void> {
  return assert.rejects(readSafetensorsHeader(file), (error) => {
    assert.ok(error instanceof ModelError);
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(file));
    return true;
  });
}

const tensor = (shape: number[], begin: number, end: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

test("offsets are absolute, metadata is not a tensor", async () => {
  const header = {
    __metadata__: { format: "pt" },
    a: tensor([2, 3], 0, 24),
    b: tensor([], 24, 28),
  };
  const entries = await readSafetensorsHeader(await write(header, 28));
  const start = 8 + JSON.stringify(header).length;
  assert.deepEqual(
    [...entries.values()].map((e) => [e.name, e.shape, e.offset, e.length]),
    [
      ["a", [2, 3], start, 24],
      ["b", [], start + 24, 4],
    ],
  );
});

test("the embedded model's tensors fill its data section without a gap", async () => {
  const file = new URL("../../models/embedded/model.safetensors", import.meta.url).pathname;
  const entries = [...(await readSafetensorsHeader(file)).values()];
  entries.sort((a, b) => a.offset - b.offset);
  assert.ok(entries.some((entry) => entry.name.endsWith("layers.11.self_attn.q_proj.weight")));
  entries.reduce((end, entry) => {
    assert.equal(entry.offset, end);
    return entry.offset + entry.length;
  }, entries[0]?.offset ?? 0);
});

test("a truncated file names the tensor that is cut", async () => {
  await refuses(await write({ a: tensor([4], 0, 16) }, 12), /"a" ends at byte \d+.*truncated/);
});

test("a header longer than the file is refused before it is read", async () => {
  const file = join(folder, "long.safetensors");
  await writeFile(file, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x7b]));
  await refuses(file, /header claims 9223372036854775807 bytes, but the file has 9/);
});

test("a file shorter than its prefix", async () => {
  const file = join(folder, "short.safetensors");
  await writeFile(file, "abc");
  await refuses(file, /3 bytes is too short/);
});

test("byte ranges that lie about the shape", async () => {
  await refuses(await write({ a: tensor([4], 0, 12) }, 12), /needs 16 bytes.*holds 12/);
});

test("overlapping tensors", async () => {
  const header = { a: tensor([4], 0, 16), b: tensor([4], 8, 24) };
  await refuses(await write(header, 24), /"a" and "b" share bytes/);
});

test("damaged headers", async () => {
  await refuses(await write("{", 0), /not JSON/);
  await refuses(await write("[]", 0), /not a JSON object/);
  await refuses(await write({ a: null }, 0), /"a" has no valid dtype/);
  await refuses(await write({ a: tensor([-1], 0, 4) }, 4), /"a" has no valid dtype/);
  await refuses(await write({ a: tensor([1], 4, 0) }, 4), /byte range \[4, 0\]/);
  await refuses(await write({ a: tensor([1], 0, 4, "Q4") }, 4), /unknown dtype "Q4"/);
});

/** Damaged headers with the verdict of the safetensors package (data/safetensors/make.py). */
interface Verdict {
  /** Base64. */
  readonly header: string;
  /** Bytes of header that the file claims, and bytes that follow the header. */
  readonly length: number;
  readonly data: number;
  readonly accepted: boolean;
}

function accepts({ header, length, data }: Verdict): boolean {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  const file = Buffer.concat([prefix, Buffer.from(header, "base64"), Buffer.alloc(data)]);
  try {
    const end = 8 + safetensorsHeaderBytes("file", prefix, file.length);
    parseSafetensorsHeader("file", file.subarray(8, end), file.length);
    return true;
  } catch (error) {
    assert.ok(error instanceof ModelError, String(error));
    return false;
  }
}

test("damaged files are judged as by the official reader", () => {
  const file = new URL("data/safetensors/verdicts.jsonl", import.meta.url);
  const lines = readFileSync(file, "utf8").trim().split("\n");
  const verdicts = lines.map((line): Verdict => JSON.parse(line));
  const differ = verdicts.filter((verdict) => accepts(verdict) !== verdict.accepted);
  // The one difference: a name that stands twice with the same entry.
  assert.deepEqual(
    differ.map(({ header }) => Buffer.from(header, "base64").toString()),
    [`{"a":${TWICE},"a":${TWICE}}`],
  );
  assert.ok(verdicts.length > 500);
});

const TWICE = '{"dtype":"F32","shape":[16],"data_offsets":[0,64]}';

test("folders and pipes are refused at once", async () => {
  const place = join(folder, "folder.safetensors");
  await mkdir(place);
  await refuses(place, /it is a folder/);
  if (process.platform === "win32") return;
  const pipe = join(folder, "pipe.safetensors");
  execFileSync("mkfifo", [pipe]);
  await refuses(pipe, /it is a pipe/);
});
