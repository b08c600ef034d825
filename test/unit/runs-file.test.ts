import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { InputError } from "../../src/common/errors.ts";
import { openRunLog } from "../../src/host/runs/log.ts";
import { RunSession } from "../../src/host/runs/session.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { RUN_FORMAT_VERSION } from "../../src/protocol/format.ts";
import { encodeEvent } from "../../src/runs/codec.ts";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { fileStart, readEvents, readRunFile } from "../../src/runs/file.ts";
import { runFilePath } from "../../src/runs/names.ts";
import { RunWriter } from "../../src/runs/writer.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const folder = await mkdtemp(join(tmpdir(), "flowprobe-runs-"));
after(() => rm(folder, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(folder, `${files++}.flow.jsonl`);

const run = syntheticRun({ layers: 4 });

async function written(events: readonly RunEvent[], path = newPath()): Promise<string> {
  const writer = await RunWriter.create(path);
  for (const event of events) writer.append(event);
  await writer.close();
  return path;
}

test("a run that was written is read back, event by event", async () => {
  const path = await written(run);
  assert.deepEqual(await readRunFile(path), { events: run, problems: [] });
  const lines = readFileSync(path, "utf8").split("\n");
  assert.equal(lines.length, run.length + 1);
  assert.equal(lines.at(-1), "");
});

test("progress is told live and never written", async () => {
  const progress: RunEvent = { type: "progress", phase: "vision", done: 1, total: 2 };
  const path = await written([...run.slice(0, 2), progress, ...run.slice(2)]);
  assert.deepEqual((await readRunFile(path)).events, run);
});

test("events are on the disk while the run goes on", async () => {
  const path = newPath();
  const writer = await RunWriter.create(path);
  for (const event of run.slice(0, 3)) writer.append(event);
  await writer.flush();
  assert.deepEqual((await readRunFile(path)).events, run.slice(0, 3));
  await writer.close();
});

test("a new file begins with the run, whatever was told before it", async () => {
  const notice: RunEvent = { type: "notice", level: "info", message: "computing on the processor" };
  const [started, ...rest] = run;
  assert.ok(started !== undefined);
  const path = await written([notice, ...run]);
  assert.deepEqual((await readRunFile(path)).events, [started, notice, ...rest]);
});

test("a run that never started leaves no file", async () => {
  const path = newPath();
  const writer = await RunWriter.create(path);
  assert.ok(existsSync(path));
  writer.append({ type: "run.finished", status: "failed", message: "no such model", seconds: 0 });
  await writer.close();
  assert.ok(!existsSync(path));
});

test("a file that exists is not written over", async () => {
  const path = newPath();
  writeFileSync(path, "mine");
  await assert.rejects(RunWriter.create(path), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /exists already/);
    return true;
  });
  assert.equal(readFileSync(path, "utf8"), "mine");
});

test("folders on the way are made; one that cannot be made is said before any work", async () => {
  const path = join(folder, "new", "deep", "a.flow.jsonl");
  await written(run, path);
  assert.ok(existsSync(path));
  const blocked = join(path, "b.flow.jsonl");
  await assert.rejects(RunWriter.create(blocked), /a part of its path is a file/);
  const locked = join(folder, "locked");
  mkdirSync(locked);
  chmodSync(locked, 0o500);
  // Root may write anywhere; a place that no user can write is the kernel's own.
  const unwritable = process.getuid?.() === 0 ? "/proc/flowprobe" : locked;
  await assert.rejects(RunWriter.create(join(unwritable, "a.flow.jsonl")), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /cannot be saved there/);
    return true;
  });
});

test("appending continues a run, and ends a line that was cut off", async () => {
  const path = newPath();
  const text = run.map((event) => `${encodeEvent(event)}\n`).join("");
  writeFileSync(path, text.slice(0, -10));
  const writer = await RunWriter.append(path);
  const more: RunEvent = { type: "notice", level: "info", message: "resumed" };
  writer.append(more);
  await writer.close();
  const back = await readRunFile(path);
  assert.deepEqual(back.events, [...run.slice(0, -1), more]);
  assert.deepEqual(back.problems, [`line ${run.length} is not JSON`]);
});

test("a run whose file was deleted meanwhile is written anew, with what follows", async () => {
  const path = newPath();
  const session = new RunSession(`file://${path}`, path, "a", null, false);
  for (const event of run) session.add(event);
  const more: RunEvent = { type: "notice", level: "info", message: "one experiment more" };
  for (const rest of [[more], [more, more]]) {
    const log = await openRunLog(session);
    log.append(more);
    session.add(more);
    await log.close();
    assert.deepEqual((await readRunFile(path)).events, [...run, ...rest]);
  }
});

test("a file that a kill left before its first event is begun anew", async () => {
  const [started] = run;
  assert.ok(started !== undefined);
  const whole = encodeEvent(started);
  for (const left of ["", whole.slice(0, 9), whole.slice(0, whole.length / 2)]) {
    const path = newPath();
    writeFileSync(path, left);
    assert.equal(await fileStart(path), "unstarted");
    await written(run, path);
    assert.deepEqual(await readRunFile(path), { events: run, problems: [] });
  }
  const path = newPath();
  assert.equal(await fileStart(path), "absent");
  for (const [content, start] of [
    [whole, "run"],
    [`${whole}\n{"type":"layer`, "run"],
    ["a diary", "other"],
    ['{"type":"run.started"}\n', "other"],
  ] as const) {
    writeFileSync(path, content);
    assert.equal(await fileStart(path), start, content.slice(0, 30));
  }
});

test("a file that is no run is not appended to", async () => {
  const path = newPath();
  writeFileSync(path, "a diary\n");
  await assert.rejects(RunWriter.append(path), /exists and is not a Flowprobe run/);
  assert.equal(readFileSync(path, "utf8"), "a diary\n");
  await assert.rejects(RunWriter.append(join(folder, "none.flow.jsonl")), InputError);
});

test("a disk that is full is said once, and the lines written before stay whole", () => {
  const path = newPath();
  const script = fileURLToPath(new URL("../support/fill-run.ts", import.meta.url));
  // A limit on the file's size fails a write in its middle, as a full disk does.
  const command = 'trap "" XFSZ; ulimit -f 20; exec "$0" --import tsx "$1" "$2"';
  const result = spawnSync("bash", ["-c", command, process.execPath, script, path], {
    encoding: "utf8",
  });
  assert.equal(result.status, 0, result.stderr);
  const report: unknown = JSON.parse(result.stdout);
  const text = readFileSync(path, "utf8");
  assert.ok(text.length > 10_000 && text.length <= 20 * 1024, `${text.length} bytes`);
  assert.ok(text.endsWith("\n"));
  const lines = text.trimEnd().split("\n");
  const messages = lines.map((line) => (JSON.parse(line) as { message?: string }).message);
  assert.ok(messages.includes("another window"), "what another program appended stays");
  assert.deepEqual(report, {
    name: "InputError",
    message: `${path}: the run could not be saved any further: it would be larger than its disk allows`,
    early: true,
  });
});

test("a damaged file gives its good lines, and a sentence for each bad one", async () => {
  const path = newPath();
  const lines: string[] = run.map((event) => encodeEvent(event));
  lines.splice(1, 0, "<script>alert(1)</script>", '{"type":"from.the.future","x":1}', "");
  writeFileSync(path, `\uFEFF${lines.join("\r\n")}\r\n{"type":"noti`);
  const { events, problems } = await readRunFile(path);
  assert.deepEqual(events, run);
  assert.deepEqual(problems, [
    "line 2 is not JSON",
    'line 3 has an event of an unknown type, "from.the.future"',
    `line ${run.length + 4} is cut off: the run was stopped while writing it`,
  ]);
});

test("a last line without a line break that is whole is kept", async () => {
  const path = newPath();
  writeFileSync(path, run.map((event) => encodeEvent(event)).join("\n"));
  assert.deepEqual(await readRunFile(path), { events: run, problems: [] });
});

test("a megabyte-long token text is read; a line beyond the limit is passed over", async () => {
  const path = newPath();
  const long: RunEvent = { type: "notice", level: "info", message: "x".repeat(1 << 20) };
  writeFileSync(path, [run[0], long, run[1]].map((e) => (e ? encodeEvent(e) : "")).join("\n"));
  assert.equal((await readRunFile(path)).events.length, 3);
  const seen: unknown[] = [];
  for await (const line of readEvents(path, { maxLineBytes: 100_000 })) seen.push(line);
  assert.deepEqual(seen[1], { kind: "problem", line: 2, message: "is too long to be an event" });
  assert.equal(seen.length, 3);
});

test("a file damaged all over does not give endless problems", async () => {
  const path = newPath();
  const [started] = run;
  assert.ok(started !== undefined);
  writeFileSync(path, `${encodeEvent(started)}\n${"nonsense\n".repeat(5_000)}`);
  const { problems } = await readRunFile(path);
  assert.equal(problems.length, 101);
  assert.equal(problems.at(-1), "4900 further lines could not be read");
});

test("a run of a newer version is read as far as it is known, and that is said", async () => {
  const path = newPath();
  const [started, ...rest] = run;
  assert.ok(started?.type === "run.started");
  const newer = { ...started, version: RUN_FORMAT_VERSION + 1 };
  writeFileSync(path, [newer, ...rest].map((event) => encodeEvent(event)).join("\n"));
  const back = await readRunFile(path);
  assert.deepEqual(back.events, [newer, ...rest]);
  assert.match(back.problems.join(), /line 1 was written by a newer Flowprobe/);
});

test("a file that is no run, an empty one and a missing one are refused by name", async () => {
  const path = newPath();
  writeFileSync(path, "hello\n");
  await assert.rejects(readRunFile(path), /not a Flowprobe run: line 1 is not JSON/);
  writeFileSync(path, "");
  await assert.rejects(readRunFile(path), /not a Flowprobe run: it has no event that starts a run/);
  await assert.rejects(readRunFile(join(folder, "gone.flow.jsonl")), /there is no such file/);
  await assert.rejects(readRunFile(folder), /it is a folder/);
});

test("a run knows which of its experiments are complete", () => {
  const started = run.findLast((event) => event.type === "experiment.started");
  const finished = run.findLastIndex((event) => event.type === "experiment.finished");
  const whole = experimentsOf(run);
  assert.ok(whole.length > 0 && whole.every(({ complete }) => complete));
  assert.equal(whole.at(-1)?.results.length, started?.branches);
  const cut = experimentsOf(run.slice(0, finished));
  assert.deepEqual(
    cut.map(({ complete }) => complete),
    whole.map((_, i) => i < whole.length - 1),
  );
  assert.equal(cut.at(-1)?.results.length, started?.branches);
});

test("an experiment that was stopped and begun anew under its id counts once", () => {
  const cut = run.findLastIndex((event) => event.type === "experiment.finished");
  const begin = run.findLastIndex((event) => event.type === "experiment.started");
  const twice = [...run.slice(0, cut), ...run.slice(begin)];
  assert.deepEqual(experimentsOf(twice), experimentsOf(run));
});

test("a run's file is named by clip, question and time, and never by one that is taken", () => {
  const now = new Date(2026, 0, 2, 3, 4, 5);
  const taken = new Set<string>();
  const name = (clip: string, id: string | undefined) => {
    const path = runFilePath("runs", clip, id, now, (candidate) => taken.has(candidate));
    taken.add(path);
    return path;
  };
  const stem = join("runs", "moving-direction-1.direction.20260102-030405");
  assert.equal(name("/x/moving-direction-1.mp4", "direction"), `${stem}.flow.jsonl`);
  assert.equal(name("/x/moving-direction-1.mp4", "direction"), `${stem}-2.flow.jsonl`);
  const other = join("runs", "frames-of-a-film.20260102-030405.flow.jsonl");
  assert.equal(name("/x/frames of: a film", undefined), other);
  assert.equal(name("/x/a.mp4", "../../etc"), join("runs", "a.etc.20260102-030405.flow.jsonl"));
});
