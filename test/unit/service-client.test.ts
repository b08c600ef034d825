import assert from "node:assert/strict";
import { after, mock, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CancelledError, InputError, ModelError } from "../../src/common/errors.ts";
import { EngineClient } from "../../src/engine/service/client.ts";
import { EngineDiedError } from "../../src/engine/service/died.ts";
import { sourceSwitches } from "../../src/engine/service/environment.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { AnalysisJob, EngineSettings } from "../../src/protocol/requests.ts";

const SETTINGS: EngineSettings = { provider: "cpu", threads: 3, memoryBudgetBytes: 1e9 };
const program = {
  path: fileURLToPath(new URL("../support/test-engine.ts", import.meta.url)),
  execArgv: sourceSwitches(),
};
const log: string[] = [];
const client = new EngineClient({ settings: SETTINGS, program, log: (line) => log.push(line) });
after(() => client.dispose());

function job(question: string, model = "/model"): AnalysisJob {
  return {
    model,
    embedded: false,
    clip: { path: "/clip.mp4" },
    prompt: { question, options: [], keywords: [] },
    observe: { lens: false, mass: false, attention: "none", headAveraged: true },
    experiments: [],
  };
}

/** Runs a question; the events without their run times. */
function ask(question: string, options: { signal?: AbortSignal; model?: string } = {}) {
  const events: RunEvent[] = [];
  const done = client.run(job(question, options.model), (e) => events.push(e), options.signal);
  return { events, done };
}

function lastOf(events: readonly RunEvent[]) {
  const last = events.at(-1);
  assert.ok(last?.type === "run.finished");
  return last;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("events of a run arrive in order, then the run is finished, then the promise settles", async () => {
  const { events, done } = ask("count 1000");
  await done;
  assert.equal(events.length, 1002);
  assert.deepEqual(events[0], { type: "notice", level: "info", message: "count 1000" });
  events.slice(1, -1).forEach((event, i) => {
    assert.ok(event.type === "progress" && event.done === i);
  });
  const { status, seconds } = lastOf(events);
  assert.equal(status, "done");
  assert.ok(seconds > 0 && seconds < 60);
});

test("large typed arrays arrive as they were when they were sent", async () => {
  const { events, done } = ask("large");
  await done;
  const layer = events.find((event) => event.type === "layer.clean");
  const data = layer?.attention?.weights.data;
  assert.ok(data instanceof Float32Array);
  assert.equal(data.byteLength, 64 << 20);
  assert.ok(data.every((value, i) => value === i));
});

test("errors keep their class and message over the border, and end the run as failed", async () => {
  for (const [question, kind, message] of [
    ["input", InputError, "no such video"],
    ["model", ModelError, "no such model"],
  ] as const) {
    const { events, done } = ask(question);
    await assert.rejects(done, (error: Error) => {
      assert.ok(error instanceof kind);
      assert.equal(error.message, message);
      return true;
    });
    const { status, message: told } = lastOf(events);
    assert.deepEqual([status, told], ["failed", message]);
  }
  const { events, done } = ask("cancelled");
  await assert.rejects(done, CancelledError);
  assert.equal(lastOf(events).status, "cancelled");
});

test("an error that is a bug keeps the stack of where it was thrown", async () => {
  await assert.rejects(ask("bug").done, (error: Error) => {
    assert.equal(error.message, "TypeError: x is not a function");
    assert.match(error.stack ?? "", /test-engine\.ts/);
    return !(error instanceof InputError) && !(error instanceof EngineDiedError);
  });
});

test("errors that the engine answers with leave its process running", async () => {
  await ask("count 1").done;
  const { pid } = client;
  assert.ok(pid !== undefined);
  await assert.rejects(ask("input").done);
  await ask("count 1").done;
  assert.equal(client.pid, pid);
});

test("a cancellation that the engine heeds keeps its process", async () => {
  await ask("count 1").done;
  const { pid } = client;
  const abort = new AbortController();
  const { events, done } = ask("wait 60000", { signal: abort.signal });
  await until(() => events.length > 0);
  const asked = performance.now();
  abort.abort();
  await assert.rejects(done, CancelledError);
  assert.ok(performance.now() - asked < 500);
  assert.equal(lastOf(events).status, "cancelled");
  await ask("count 1").done;
  assert.equal(client.pid, pid);
});

test("a cancellation in the middle of a blocking call takes effect within a second, in a new process", async () => {
  await ask("count 1").done;
  const { pid } = client;
  const abort = new AbortController();
  const { events, done } = ask("busy 60000", { signal: abort.signal });
  await until(() => events.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const asked = performance.now();
  abort.abort();
  await assert.rejects(done, CancelledError);
  const took = performance.now() - asked;
  assert.ok(took < 1_000, `${took} ms`);
  assert.equal(lastOf(events).status, "cancelled");
  await ask("count 1").done;
  assert.notEqual(client.pid, pid);
});

test("an engine that ignores a cancellation is given 600 ms of the client's clock, then replaced", async () => {
  await ask("count 1").done;
  const { pid } = client;
  const abort = new AbortController();
  const { events, done } = ask("busy 60000", { signal: abort.signal });
  let ended = false;
  const end = done.catch(() => {
    ended = true;
  });
  await until(() => events.length > 0);
  // The engine gets no time of the clock; only the client's own patience runs out.
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    abort.abort();
    mock.timers.tick(599);
    await turn();
    assert.equal(ended, false);
    assert.equal(client.pid, pid);
    mock.timers.tick(1);
    await turn();
    assert.equal(ended, true, "nothing is waited for once the process is given up");
    assert.equal(lastOf(events).status, "cancelled");
  } finally {
    mock.timers.reset();
  }
  await end;
  await ask("count 1").done;
  assert.notEqual(client.pid, pid);
});

test("a model opened ahead stays open for its first run, and a bad one is said", async () => {
  await client.warm("/warm");
  const { pid } = client;
  await ask("count 1", { model: "/warm" }).done;
  assert.equal(client.pid, pid);
  await assert.rejects(client.warm("/none"), ModelError);
  await ask("count 1", { model: "/warm" }).done;
  assert.notEqual(client.pid, pid);
});

test("a run cancelled while its model is being opened ahead ends at once", async () => {
  const warm = client.warm("/ahead");
  const abort = new AbortController();
  const { events, done } = ask("count 1", { model: "/ahead", signal: abort.signal });
  abort.abort();
  await assert.rejects(done, CancelledError);
  assert.equal(lastOf(events).status, "cancelled");
  await warm;
});

test("a signal that is aborted already starts nothing", async () => {
  const { events, done } = ask("count 5", { signal: AbortSignal.abort() });
  await assert.rejects(done, CancelledError);
  assert.deepEqual(
    events.map(({ type }) => type),
    ["run.finished"],
  );
});

test("runs queue in their order; one that waits is cancelled at once and the others go on", async () => {
  const order: string[] = [];
  const abort = new AbortController();
  const first = ask("wait 300").done.then(() => order.push("first"));
  const dropped = ask("count 1", { signal: abort.signal });
  const last = ask("count 1").done.then(() => order.push("last"));
  abort.abort();
  await assert.rejects(dropped.done, CancelledError);
  order.push("dropped");
  await Promise.all([first, last]);
  assert.deepEqual(order, ["dropped", "first", "last"]);
  assert.deepEqual(
    dropped.events.map(({ type }) => type),
    ["run.finished"],
  );
});

test("a process killed in the middle of a run is told as such, and the next run has a new one", async () => {
  const { events, done } = ask("wait 60000");
  await until(() => events.length > 0);
  const { pid } = client;
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  await assert.rejects(done, (error: Error) => {
    assert.ok(error instanceof EngineDiedError);
    assert.match(error.message, /ended unexpectedly \(SIGKILL\)/);
    assert.match(error.message, /ran out of memory/);
    return true;
  });
  assert.equal(events[0]?.type, "notice");
  assert.equal(lastOf(events).status, "failed");
  assert.equal(client.pid, undefined);
  await ask("count 1").done;
  assert.notEqual(client.pid, pid);
});

test("an abort inside a native library is told as a fault, with advice", async () => {
  await assert.rejects(ask("signal SIGABRT").done, (error: Error) => {
    assert.ok(error instanceof EngineDiedError);
    assert.match(error.message, /SIGABRT/);
    assert.match(error.message, /native library failed/);
    return true;
  });
});

test("an exit shows the last lines that the process printed, and what they mean", async () => {
  await assert.rejects(ask("exit 7").done, (error: Error) => {
    assert.ok(error instanceof EngineDiedError);
    assert.match(error.message, /exit code 7/);
    assert.match(error.message, /ran out of memory/);
    assert.match(error.message, /std::bad_alloc$/);
    assert.ok(error.message.split("\n").length <= 14);
    return true;
  });
  assert.ok(log.includes("std::bad_alloc"));
});

test("another model gets another process, the same one does not", async () => {
  await ask("count 1", { model: "/a" }).done;
  const first = client.pid;
  await ask("count 1", { model: "/a" }).done;
  assert.equal(client.pid, first);
  await ask("count 1", { model: "/b" }).done;
  assert.notEqual(client.pid, first);
});

test("settings that change replace the process before the next run; the same ones do not", async () => {
  await ask("count 1").done;
  const before = client.pid;
  client.configure({ ...SETTINGS });
  await ask("count 1").done;
  assert.equal(client.pid, before);
  client.configure({ ...SETTINGS, threads: 9 });
  await ask("count 1").done;
  assert.notEqual(client.pid, before);
  assert.equal((await client.describe("/m")).parameters, 9);
});

test("experiments and observations go to the process of the last run, under their id", async () => {
  await ask("count 1").done;
  const { pid } = client;
  const events: RunEvent[] = [];
  const sink = (event: RunEvent) => events.push(event);
  await client.experiment({ kind: "frame-pairs", layers: [0, 1] }, "mine", sink);
  const { observe } = job("");
  await client.observe(observe, sink);
  assert.equal(client.pid, pid);
  const [first] = events;
  assert.ok(first?.type === "experiment.started" && first.experiment === "mine");
  assert.equal(events.filter(({ type }) => type === "run.finished").length, 2);
});

test("a model is described while a run goes on, and again when the process is replaced", async () => {
  const abort = new AbortController();
  const { events, done } = ask("busy 60000", { signal: abort.signal });
  await until(() => events.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const described = client.describe("/described");
  abort.abort();
  await assert.rejects(done, CancelledError);
  const { folder, bytes } = await described;
  assert.equal(folder, "/described");
  assert.equal(bytes, client.pid);
  await assert.rejects(client.describe("/none"), ModelError);
});

test("a forecast waits its turn and comes back", async () => {
  const { done } = ask("wait 50");
  const { seconds } = await client.forecast(job("four"));
  await done;
  assert.equal(seconds, 4);
});

test("a restart cancels what runs, and the next run starts anew", async () => {
  const { events, done } = ask("wait 60000");
  await until(() => events.length > 0);
  const { pid } = client;
  client.restart();
  await assert.rejects(done, CancelledError);
  assert.equal(lastOf(events).status, "cancelled");
  await ask("count 1").done;
  assert.notEqual(client.pid, pid);
});

test("a reader of events that throws fails its run, and the next run works", async () => {
  const broken = client.run(job("wait 500"), (event) => {
    if (event.type === "notice") throw new InputError("the disk is full");
  });
  await assert.rejects(broken, /the disk is full/);
  await ask("count 1").done;
});

test("a program that cannot be started is said", async () => {
  const none = new EngineClient({
    settings: SETTINGS,
    program: { path: "/nowhere/engine.js", execArgv: [] },
  });
  await assert.rejects(none.describe("/m"), (error: Error) => {
    assert.ok(error instanceof EngineDiedError);
    assert.match(error.message, /Cannot find module '\/nowhere\/engine\.js'/);
    return true;
  });
  await none.dispose();
});

test("a process started ahead is the one that the next task finds", async () => {
  const lines: string[] = [];
  const ahead = new EngineClient({ settings: SETTINGS, program, log: (line) => lines.push(line) });
  ahead.start();
  ahead.start();
  await new Promise((resolve) => setImmediate(resolve));
  const { pid } = ahead;
  assert.ok(pid !== undefined);
  await ahead.run(job("count 1"), () => {});
  assert.equal(ahead.pid, pid);
  assert.equal(lines.filter((line) => line.endsWith("started")).length, 1);
  // Settings that changed still replace it.
  ahead.configure({ ...SETTINGS, threads: 4 });
  ahead.start();
  await ahead.run(job("count 1"), () => {});
  assert.notEqual(ahead.pid, pid);
  assert.equal(lines.filter((line) => line.endsWith("started")).length, 2);
  await ahead.dispose();
  ahead.start();
  assert.equal(ahead.pid, undefined);
});

test("after it is disposed of no process is left, and no run starts", async () => {
  const other = new EngineClient({ settings: SETTINGS, program });
  await other.run(job("count 1"), () => {});
  const { pid } = other;
  assert.ok(pid !== undefined);
  await other.dispose();
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  await assert.rejects(
    other.run(job("count 1"), () => {}),
    CancelledError,
  );
});
