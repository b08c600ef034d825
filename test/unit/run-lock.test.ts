import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CancelledError } from "../../src/common/errors.ts";
import { LOCK_SUFFIX, lockRun } from "../../src/runs/lock.ts";

const folder = await mkdtemp(join(tmpdir(), "flowprobe-lock-"));
after(() => rm(folder, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(folder, `${files++}.flow.jsonl`);

/** Id of a process that has ended. */
function deadProcess(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

const holder = (pid: number, host = hostname()) => JSON.stringify({ pid, host, token: "another" });

test("a second writer waits until the first is done", async () => {
  const path = newPath();
  const order: string[] = [];
  const first = await lockRun(path);
  const second = lockRun(path, { onWait: (message) => order.push(message) }).then((lock) => {
    order.push("second");
    return lock;
  });
  await new Promise((resolve) => setTimeout(resolve, 250));
  order.push("first is done");
  await first.release();
  await (await second).release();
  assert.match(order[0] ?? "", new RegExp(`written by .* \\(process ${process.pid}\\); waiting`));
  assert.deepEqual(order.slice(1), ["first is done", "second"]);
  assert.ok(!existsSync(path + LOCK_SUFFIX));
});

test("one at a time has the lock, of many that want it", async () => {
  const path = newPath();
  let inside = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const lock = await lockRun(path);
      inside++;
      assert.equal(inside, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
      await lock.release();
    }),
  );
});

test("the lock of a process that died is taken over at once", async () => {
  const path = newPath();
  writeFileSync(path + LOCK_SUFFIX, holder(deadProcess()));
  const waits: string[] = [];
  const lock = await lockRun(path, { onWait: (message) => waits.push(message) });
  assert.deepEqual(waits, []);
  assert.match(readFileSync(path + LOCK_SUFFIX, "utf8"), new RegExp(`"pid":${process.pid},`));
  await lock.release();
});

test("a lock of another machine, or a damaged one, is taken over when it stands still", async () => {
  for (const content of [holder(1, "another-host"), "", "{", "[]", "null"]) {
    const path = newPath();
    writeFileSync(path + LOCK_SUFFIX, content);
    const waits: string[] = [];
    const lock = await lockRun(path, { staleMs: 300, onWait: (message) => waits.push(message) });
    assert.equal(waits.length, 1, content);
    await lock.release();
  }
});

test("a wait that is stopped ends, and leaves the lock", async () => {
  const path = newPath();
  const first = await lockRun(path);
  const abort = new AbortController();
  const second = lockRun(path, { signal: abort.signal, onWait: () => abort.abort() });
  await assert.rejects(second, CancelledError);
  assert.ok(existsSync(path + LOCK_SUFFIX));
  await first.release();
});

test("a lock that was taken over is not released by its old holder", async () => {
  const path = newPath();
  const lock = await lockRun(path);
  writeFileSync(path + LOCK_SUFFIX, holder(process.pid));
  await lock.release();
  assert.equal(readFileSync(path + LOCK_SUFFIX, "utf8"), holder(process.pid));
});

test("where no lock can be made, the work goes on and that is said", async () => {
  const path = join("/proc", "flowprobe", "a.flow.jsonl");
  const { problem, release } = await lockRun(path);
  assert.match(problem ?? "", /a\.flow\.jsonl: cannot be locked, so do not write it from two prog/);
  await release();
});

test("a lock leaves nothing behind", async () => {
  const place = join(folder, "clean");
  mkdirSync(place);
  const path = join(place, "a.flow.jsonl");
  writeFileSync(path + LOCK_SUFFIX, holder(deadProcess()));
  await (await lockRun(path)).release();
  assert.deepEqual(readdirSync(place), []);
});
