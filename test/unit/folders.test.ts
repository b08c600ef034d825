import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeFolder } from "../../src/common/folders.ts";

const root = mkdtempSync(join(tmpdir(), "flowprobe-folders-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("several may make the same folder at once", async () => {
  // A race: without care for it, more than half of these rounds fail.
  for (let round = 0; round < 50; round++) {
    const folder = join(root, String(round), "a", "b", "c");
    await Promise.all(Array.from({ length: 8 }, () => makeFolder(folder)));
    assert.ok(statSync(folder).isDirectory());
  }
});

test("what stands in the way of a folder is told", async () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  await assert.rejects(makeFolder(file), { code: "ENOTDIR" });
  await assert.rejects(makeFolder(join(file, "a", "b")), { code: "ENOTDIR" });
  // Linux answers "no such file" under /proc also where the parent is there.
  if (process.platform !== "linux") return;
  await assert.rejects(makeFolder("/proc/flowprobe"), { code: "ENOENT" });
  await assert.rejects(makeFolder("/proc/flowprobe/a"), { code: "ENOENT" });
});
