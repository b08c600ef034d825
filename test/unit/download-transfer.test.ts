import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { CancelledError, InputError } from "../../src/common/errors.ts";
import { locateWeights } from "../../src/engine/checkpoint/weights.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { CachedRepository, cachedModels } from "../../src/hub/cache.ts";
import type { HubClient } from "../../src/hub/client.ts";
import { type DownloadProgress, download } from "../../src/hub/download.ts";
import { HubError, type HubTrouble } from "../../src/hub/failures.ts";
import { type DownloadPlan, planDownload } from "../../src/hub/plan.ts";
import { HubFixture, IMPATIENT, MODEL, neededFiles } from "../support/hub-fixture.ts";
import { gitHash, sha256 } from "../support/hub-server.ts";

const SHARD = "model-00002-of-00003.safetensors";

let hub: HubFixture;
beforeEach(async () => {
  hub = await HubFixture.start();
});
afterEach(() => hub.stop());

const files = () => hub.server.models.get(MODEL)?.files ?? {};
const shard = () => files()[SHARD] ?? Buffer.alloc(0);
const partOfShard = () => `${hub.blob(sha256(shard()))}.incomplete`;

/** Looks at the model; from then on the server counts requests anew. */
async function planned(client: HubClient = hub.client()): Promise<DownloadPlan> {
  const plan = await planDownload(client, MODEL, "main");
  hub.server.seen.length = 0;
  return plan;
}

async function fetchModel(
  client: HubClient = hub.client(),
  tell?: (progress: DownloadProgress) => void,
  signal?: AbortSignal,
): Promise<string> {
  const plan = await planned(client);
  return download(client, plan, tell, signal);
}

/** Ranges asked of the CDN for a file's rest: looking at headers asks for a closed range. */
const rangesAsked = (name = SHARD) =>
  hub.server.seen
    .filter(
      ({ at, path, range }) => at === "cdn" && path.includes(name) && !/-\d/.test(range ?? ""),
    )
    .map(({ range }) => range);

function rejects(work: Promise<unknown>, trouble: HubTrouble, message: RegExp): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(error instanceof HubError, `${error}`);
    assert.match(error.message, message);
    assert.equal(error.trouble, trouble);
    return true;
  });
}

test("a model arrives in the cache's layout: blobs by checksum, links in the snapshot, the commit in refs", async () => {
  const folder = await fetchModel();
  const commit = hub.server.commit(MODEL);
  assert.equal(folder, join(hub.cache, "models--lab--Tiny-Video", "snapshots", commit));
  assert.deepEqual(hub.files("snapshots", commit), neededFiles(files()));
  for (const name of neededFiles(files())) {
    const content = files()[name] ?? Buffer.alloc(0);
    assert.deepEqual(readFileSync(join(folder, name)), content, name);
    const hash = content.length > 2_000 ? sha256(content) : gitHash(content);
    assert.ok(lstatSync(join(folder, name)).isSymbolicLink());
    assert.equal(readlinkSync(join(folder, name)), join("..", "..", "blobs", hash));
  }
  assert.equal(readFileSync(join(dirname(dirname(folder)), "refs", "main"), "utf8"), commit);
  assert.deepEqual(await cachedModels(hub.cache), [{ name: MODEL, folder }]);
  assert.equal((await readModelSpec(folder)).decoder.layers.length > 0, true);
});

test("code, pickled weights and weights that the index does not name are never asked for", async () => {
  await fetchModel();
  for (const { path } of hub.server.seen) {
    assert.doesNotMatch(path, /\.py|\.bin|consolidated|README/);
  }
});

test("the plan's bytes are those that are missing, and progress ends at all of them", async () => {
  const client = hub.client();
  const plan = await planned(client);
  const total = neededFiles(files()).reduce((sum, name) => sum + (files()[name]?.length ?? 0), 0);
  assert.deepEqual([plan.bytes, plan.missingBytes, plan.complete], [total, total, false]);
  assert.equal(plan.model.licence, "apache-2.0");
  assert.deepEqual(hub.files(), [], "nothing is written before it is confirmed");
  const told: DownloadProgress[] = [];
  await download(client, plan, (progress) => told.push(progress));
  assert.equal(told.at(-1)?.done, total);
  assert.ok(told.every(({ done }, i) => i === 0 || done >= (told[i - 1]?.done ?? 0)));
  const again = await planned(client);
  assert.deepEqual([again.missingBytes, again.complete], [0, true]);
});

test("what is in the cache is not downloaded again, and of a new commit only what has changed", async () => {
  const first = await fetchModel();
  assert.equal(await fetchModel(), first);
  assert.deepEqual(hub.server.seen, []);
  files()["generation_config.json"] = Buffer.from('{"eos_token_id": 2}');
  const plan = await planned();
  assert.equal(plan.missingBytes, 19);
  const second = await download(hub.client(), plan);
  assert.notEqual(second, first);
  assert.equal((await locateWeights(second)).tensors.size > 0, true);
  assert.deepEqual(await cachedModels(hub.cache), [{ name: MODEL, folder: second }]);
});

test("a connection that drops in the middle of files is taken up where it broke", async () => {
  hub.server.cuts.push(700, 900);
  const client = hub.client();
  const plan = await planned(client);
  assert.equal(hub.server.cuts.length, 0, "looking at a model survives cuts, too");
  hub.server.cuts.push(700, 900, 5_000, 1_000, 20_000, 3_000);
  const folder = await download(client, plan);
  assert.deepEqual(readFileSync(join(folder, SHARD)), shard());
  const resumed = hub.server.seen.filter(({ range }) => /^bytes=\d+-$/.test(range ?? ""));
  assert.ok(resumed.length >= 5, `${resumed.length} were taken up`);
});

test("a connection that drops without a byte in between ends with one message, and the part is kept", async () => {
  const client = hub.client();
  const plan = await planned(client);
  let drops = 0;
  hub.server.trouble = ({ at, path }, response) => {
    if (at !== "cdn" || !path.includes(SHARD)) return false;
    drops++;
    response.writeHead(200, { "content-length": shard().length });
    if (drops === 1) response.write(shard().subarray(0, 1_500));
    setTimeout(() => response.destroy(), 20);
    return true;
  };
  await rejects(download(client, plan), "offline", /cannot be reached|breaks off again and again/);
  assert.ok(drops >= 5);
  hub.server.trouble = () => false;
  assert.deepEqual(readFileSync(join(await fetchModel(), SHARD)), shard());
});

test("a later download goes on from the part that an earlier one left, as the hub's tools name it", async () => {
  mkdirSync(dirname(partOfShard()), { recursive: true });
  writeFileSync(partOfShard(), shard().subarray(0, 4_321));
  const client = hub.client();
  const plan = await planned(client);
  assert.equal(plan.bytes - plan.missingBytes, 4_321);
  const phases = new Set<string>();
  const folder = await download(client, plan, ({ phase, file }) => phases.add(`${phase} ${file}`));
  assert.deepEqual(rangesAsked(), ["bytes=4321-"]);
  assert.ok(phases.has(`check ${SHARD}`), "what was left is read back");
  assert.deepEqual(readFileSync(join(folder, SHARD)), shard());
  assert.ok(!hub.files("blobs").some((name) => name.endsWith(".incomplete")));
});

test("a whole part is only checked, and a part that is too long is started over", async () => {
  mkdirSync(dirname(partOfShard()), { recursive: true });
  writeFileSync(partOfShard(), shard());
  await fetchModel();
  assert.deepEqual(rangesAsked(), []);
  const other = "model-00001-of-00003.safetensors";
  const content = Buffer.from(files()[other] ?? "");
  // Other weights, of the same shapes.
  content.fill(7, content.length - 100);
  files()[other] = content;
  writeFileSync(`${hub.blob(sha256(content))}.incomplete`, Buffer.alloc(content.length + 1));
  const folder = await fetchModel();
  assert.deepEqual(readFileSync(join(folder, other)), content);
});

test("a server that does not know ranges sends all of it again, and the content is right", async () => {
  const client = hub.client();
  const plan = await planned(client);
  hub.server.ranges = false;
  hub.server.cuts.push(700, 900);
  const folder = await download(client, plan);
  for (const name of neededFiles(files())) {
    assert.deepEqual(readFileSync(join(folder, name)), files()[name], name);
  }
});

test("a wrong checksum of a large file is refused, and its part is removed", async () => {
  hub.server.corrupt = (file, content) => {
    const other = Buffer.from(content);
    if (file === SHARD) other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
    return other;
  };
  await rejects(fetchModel(), "damaged", new RegExp(`${SHARD} arrived with the checksum`));
  assert.ok(!hub.files("blobs").some((name) => name.includes(sha256(shard()))));
  assert.deepEqual(hub.files("snapshots"), [], "half a model is never shown");
  hub.server.corrupt = undefined;
  await fetchModel();
});

test("a wrong checksum of a small file is refused, too", async () => {
  const client = hub.client();
  const plan = await planned(client);
  hub.server.trouble = ({ path }, response) => {
    if (!path.endsWith("/preprocessor_config.json")) return false;
    const real = files()["preprocessor_config.json"]?.toString() ?? "";
    response.end(real.replace(/\d/, (digit) => String((Number(digit) + 1) % 10)));
    return true;
  };
  await rejects(download(client, plan), "damaged", /preprocessor_config.json arrived with/);
});

test("a file that does not end where it should is refused before the disk fills up", async () => {
  const client = hub.client();
  const plan = await planned(client);
  hub.server.corrupt = (file, content) =>
    file === SHARD ? Buffer.concat([content, Buffer.alloc(1e6)]) : content;
  await rejects(download(client, plan), "damaged", /does not end after its/);
  assert.equal(statSync(partOfShard()).size, 0);
});

test("cancelling in the middle leaves a part that the next download goes on from", async () => {
  const client = hub.client();
  const plan = await planned(client);
  hub.server.speed = 40_000;
  const stop = new AbortController();
  const begun = performance.now();
  let cancelled = 0;
  const work = download(
    client,
    plan,
    ({ file, phase, done }) => {
      if (file !== SHARD || phase !== "download" || done < 5_000 || stop.signal.aborted) return;
      cancelled = performance.now();
      stop.abort();
    },
    stop.signal,
  );
  await assert.rejects(work, CancelledError);
  assert.ok(performance.now() - cancelled < 1_000, "within a second");
  assert.ok(cancelled > begun);
  const kept = statSync(partOfShard()).size;
  assert.ok(kept > 0 && kept < shard().length, `${kept} bytes`);
  assert.deepEqual(await cachedModels(hub.cache), []);
  hub.server.speed = undefined;
  const folder = await fetchModel();
  assert.ok(rangesAsked().includes(`bytes=${kept}-`));
  assert.deepEqual(readFileSync(join(folder, SHARD)), shard());
});

test("a body that falls silent counts as a broken connection", async () => {
  const client = hub.client();
  const plan = await planned(client);
  let silent = 0;
  hub.server.trouble = ({ at, path }, response) => {
    if (at !== "cdn" || !path.includes(SHARD) || silent > 0) return false;
    silent++;
    response.writeHead(200, { "content-length": shard().length });
    response.write(shard().subarray(0, 2_000));
    return true;
  };
  const folder = await download(client, plan);
  assert.deepEqual(rangesAsked(), [undefined, "bytes=2000-"]);
  assert.deepEqual(readFileSync(join(folder, SHARD)), shard());
});

test("a body that drips ends, and says how slow it was", async () => {
  const client = hub.client({ retryPolicy: { ...IMPATIENT, idleTimeoutMs: 60 } });
  const plan = await planned(client);
  const timers: NodeJS.Timeout[] = [];
  hub.server.trouble = ({ at, path }, response) => {
    if (at !== "cdn" || !path.includes(SHARD)) return false;
    response.writeHead(200, { "content-length": shard().length });
    timers.push(setInterval(() => response.write(shard().subarray(0, 1)), 20));
    return true;
  };
  await assert.rejects(download(client, plan), /kept breaking off \(only \d+ B arrived in 1 s\)/);
  for (const timer of timers) clearInterval(timer);
});

test("a blob of the right size and wrong bytes is found once", async () => {
  const folder = await fetchModel();
  const client = hub.client();
  assert.equal((await planned(client)).complete, true);
  const blob = realpathSync(join(folder, SHARD));
  const bytes = readFileSync(blob);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  writeFileSync(blob, bytes);
  utimesSync(blob, 1, 1);
  const plan = await planned(client);
  assert.equal(plan.complete, false);
  const phases = new Set<string>();
  await download(client, plan, ({ file, phase }) => phases.add(`${file} ${phase}`));
  assert.ok(phases.has(`${SHARD} check`) && phases.has(`${SHARD} download`));
  assert.deepEqual(readFileSync(join(folder, SHARD)), shard());
  assert.equal((await planned(client)).complete, true);
});

test("a blob that another tool left is checked, not downloaded", async () => {
  await fetchModel();
  rmSync(join(hub.cache, `models--${MODEL.replace("/", "--")}`, "flowprobe-verified"), {
    recursive: true,
  });
  const client = hub.client();
  const plan = await planned(client);
  assert.deepEqual([plan.complete, plan.missingBytes], [false, 0]);
  hub.server.seen.length = 0;
  await download(client, plan);
  assert.deepEqual(hub.server.seen, []);
  assert.equal((await planned(client)).complete, true);
});

test("a disk without room is told before anything is downloaded", async () => {
  const client = hub.client();
  const plan = await planned(client);
  const huge = { ...plan, missingBytes: 1e18 };
  await assert.rejects(download(client, huge), (error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /needs 1000000 TB, but its disk has .* free; make room/);
    return true;
  });
  assert.deepEqual(rangesAsked(), []);
});

// Linux has a device that is always full.
if (existsSync("/dev/full")) {
  test("a disk that fills up in the middle is told, with what to do", async () => {
    const client = hub.client();
    const plan = await planned(client);
    mkdirSync(dirname(partOfShard()), { recursive: true });
    symlinkSync("/dev/full", partOfShard());
    await assert.rejects(download(client, plan), (error) => {
      assert.ok(error instanceof InputError);
      assert.match(
        error.message,
        new RegExp(`^${SHARD}: the disk of the model cache is full; .*HF_HOME`),
      );
      return true;
    });
  });
}

test("two downloads of one model at once do not write the same files; a dead one's lock is no hindrance", async () => {
  const client = hub.client();
  const plan = await planned(client);
  hub.server.speed = 40_000;
  const stop = new AbortController();
  const first = download(client, plan, () => undefined, stop.signal);
  const settled = assert.rejects(first, CancelledError);
  const lock = join(hub.cache, ".locks", "models--lab--Tiny-Video", "flowprobe.lock");
  while (!statSync(lock, { throwIfNoEntry: false })) await new Promise((r) => setTimeout(r, 5));
  await assert.rejects(download(client, plan), /being downloaded by another window/);
  stop.abort();
  await settled;
  assert.equal(statSync(lock, { throwIfNoEntry: false }), undefined);
  mkdirSync(dirname(lock), { recursive: true });
  writeFileSync(lock, "");
  utimesSync(lock, new Date(0), new Date(0));
  hub.server.speed = undefined;
  await download(client, plan);
});

test("without symbolic links a snapshot holds the files themselves, and nothing is downloaded twice", async () => {
  const repository = new CachedRepository(hub.cache, MODEL);
  const client = hub.client();
  const plan = await planned(client);
  await download(client, plan, undefined, undefined, async () => {
    throw Object.assign(new Error("no links here"), { code: "EPERM" });
  });
  const path = join(plan.folder, SHARD);
  assert.ok(lstatSync(path).isFile());
  assert.deepEqual(readFileSync(path), shard());
  assert.equal(plan.folder, repository.snapshot(hub.server.commit(MODEL)));
  assert.equal((await planned(client)).complete, true);
  assert.ok((await readModelSpec(plan.folder)).decoder.layers.length > 0);
});
