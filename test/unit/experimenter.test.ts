import assert from "node:assert/strict";
import { test } from "node:test";
import { CancelledError, InputError } from "../../src/common/errors.ts";
import { EngineDiedError } from "../../src/engine/service/died.ts";
import {
  type EngineTask,
  Experimenter,
  type TaskFailure,
} from "../../src/host/engine/experimenter.ts";
import { jobOfRun } from "../../src/host/engine/jobs.ts";
import type { EngineLink } from "../../src/host/engine/link.ts";
import { RunSession } from "../../src/host/runs/session.ts";
import type { EventSink, RunEvent } from "../../src/protocol/events.ts";
import type { AnalysisJob } from "../../src/protocol/requests.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const [started] = syntheticRun({ layers: 2 });
assert.ok(started?.type === "run.started");
const job = jobOfRun(started);
const ANALYZE: EngineTask = { kind: "analyze", job };
const EXPERIMENT: EngineTask = {
  kind: "experiment",
  request: { kind: "frame-pairs", layers: [0, 1] },
};
const done: RunEvent = { type: "run.finished", status: "done", seconds: 1 };

/** A call to the engine, which the test ends as it likes. */
interface Call {
  readonly name: "run" | "experiment" | "observe";
  readonly job?: AnalysisJob;
  readonly id?: string;
  readonly sink: EventSink;
  readonly signal: AbortSignal;
  end(error?: Error): Promise<void>;
}

/** An engine that does nothing by itself. */
class FakeEngine {
  readonly calls: Call[] = [];
  restarts = 0;

  readonly link = {
    run: (asked: AnalysisJob, sink: EventSink, signal: AbortSignal) =>
      this.#call({ name: "run", job: asked, sink, signal }),
    experiment: (_: unknown, id: string, sink: EventSink, signal: AbortSignal) =>
      this.#call({ name: "experiment", id, sink, signal }),
    observe: (_: unknown, sink: EventSink, signal: AbortSignal) =>
      this.#call({ name: "observe", sink, signal }),
    restart: () => {
      this.restarts += 1;
    },
  } as unknown as EngineLink;

  get last(): Call {
    const call = this.calls.at(-1);
    assert.ok(call !== undefined, "the engine was asked");
    return call;
  }

  #call(call: Omit<Call, "end">): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = async (error?: Error) => {
        if (error === undefined) resolve();
        else reject(error);
        // What waits for the call goes on.
        await new Promise((next) => setImmediate(next));
      };
      this.calls.push({ ...call, end });
    });
  }
}

function setUp(hooks: { openFails?: Error; closeFails?: Error } = {}) {
  const engine = new FakeEngine();
  const written = new Map<RunSession, RunEvent[]>();
  const failures: TaskFailure[] = [];
  const experimenter = new Experimenter(engine.link, {
    openLog: async (session) => {
      if (hooks.openFails !== undefined) throw hooks.openFails;
      const events = written.get(session) ?? [];
      written.set(session, events);
      return {
        append: (event) => void events.push(event),
        close: async () => {
          if (hooks.closeFails !== undefined) throw hooks.closeFails;
        },
      };
    },
    onFailure: (failure) => void failures.push(failure),
    onChange: () => {},
  });
  return { engine, experimenter, written, failures };
}

let files = 0;
function session(of: AnalysisJob | null = job): RunSession {
  const file = `/runs/${files++}.flow.jsonl`;
  return new RunSession(`file://${file}`, file, file, of, true);
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

test("a task's events reach session and file, progress the session alone", async () => {
  const { engine, experimenter, written } = setUp();
  const run = session();
  const progress: string[] = [];
  run.listen((change) => {
    if (change.kind === "progress") progress.push(change.event.phase);
  });
  const ended = experimenter.submit(run, ANALYZE);
  await soon();
  engine.last.sink({ type: "progress", phase: "vision", done: 1, total: 2 });
  assert.equal(experimenter.running?.progress?.phase, "vision");
  engine.last.sink(started);
  engine.last.sink(done);
  await engine.last.end();
  await ended;
  assert.deepEqual(run.events, [started, done]);
  assert.deepEqual(written.get(run), [started, done]);
  assert.deepEqual(progress, ["vision"]);
  assert.deepEqual(run.engine, { kind: "idle" });
  assert.equal(experimenter.running, undefined);
});

test("tasks run one after another, the others say how many are ahead", async () => {
  const { engine, experimenter } = setUp();
  const [a, b, c] = [session(), session(), session()] as const;
  for (const run of [a, b, c]) void experimenter.submit(run, ANALYZE);
  await soon();
  assert.deepEqual(
    [a.engine.kind, b.engine, c.engine],
    ["running", { kind: "queued", ahead: 1 }, { kind: "queued", ahead: 2 }],
  );
  assert.equal(experimenter.waiting, 2);
  assert.equal(engine.calls.length, 1);
  await engine.last.end();
  await soon();
  assert.deepEqual([a.engine.kind, b.engine.kind], ["idle", "running"]);
  assert.deepEqual(c.engine, { kind: "queued", ahead: 1 });
});

test("cancelling one run drops its tasks and aborts what runs of it", async () => {
  const { engine, experimenter, failures } = setUp();
  const [a, b] = [session(), session()] as const;
  const first = experimenter.submit(a, ANALYZE);
  const second = experimenter.submit(b, ANALYZE);
  await soon();
  experimenter.cancel(b);
  await second;
  assert.deepEqual([a.engine.kind, b.engine.kind], ["running", "idle"]);
  assert.equal(engine.last.signal.aborted, false);
  experimenter.cancel(a);
  assert.equal(engine.last.signal.aborted, true);
  await engine.last.end(new CancelledError());
  await first;
  assert.equal(a.last("run.finished")?.status, "cancelled");
  assert.deepEqual(failures, []);
  assert.equal(b.events.length, 0);
});

test("an engine that dies is told once, and retry does the same again", async () => {
  const { engine, experimenter, written, failures } = setUp();
  const run = session();
  const ended = experimenter.submit(run, ANALYZE);
  await soon();
  engine.last.sink(started);
  await engine.last.end(new EngineDiedError("out of memory"));
  await ended;
  assert.deepEqual(run.engine, { kind: "died", message: "out of memory" });
  assert.equal(run.last("run.finished")?.status, "failed");
  assert.deepEqual(
    failures.map(({ kind }) => kind),
    ["died"],
  );
  assert.deepEqual(
    written.get(run)?.map(({ type }) => type),
    ["run.started", "run.finished"],
  );
  const again = experimenter.retry(run);
  await soon();
  assert.equal(engine.restarts, 1);
  assert.equal(engine.calls.length, 2);
  // It goes on with what is in the file.
  assert.equal(engine.last.job?.continues?.file, run.file);
  await engine.last.end();
  await again;
  assert.deepEqual(run.engine, { kind: "idle" });
  await experimenter.retry(run);
  assert.equal(engine.calls.length, 2, "there is nothing left to do again");
});

test("a refused task ends its run, and the next one starts", async () => {
  const { engine, experimenter, failures } = setUp();
  const [a, b] = [session(), session()] as const;
  const first = experimenter.submit(a, ANALYZE);
  void experimenter.submit(b, ANALYZE);
  await soon();
  await engine.last.end(new InputError("no such video"));
  await first;
  assert.deepEqual(
    failures.map(({ kind, message }) => [kind, message]),
    [["refused", "no such video"]],
  );
  const end = a.last("run.finished");
  assert.deepEqual([end?.status, end?.message], ["failed", "no such video"]);
  assert.equal(b.engine.kind, "running");
});

test("a run's end is told once, by the engine or for it", async () => {
  const { engine, experimenter } = setUp();
  const run = session();
  const ended = experimenter.submit(run, ANALYZE);
  await soon();
  engine.last.sink({ type: "run.finished", status: "failed", message: "no", seconds: 2 });
  await engine.last.end(new InputError("no"));
  await ended;
  assert.equal(run.events.filter(({ type }) => type === "run.finished").length, 1);
});

test("a file that cannot be opened, or closed, is told", async () => {
  const unopened = setUp({ openFails: new InputError("the disk is full") });
  const a = session();
  await unopened.experimenter.submit(a, ANALYZE);
  assert.equal(unopened.engine.calls.length, 0);
  assert.equal(a.last("run.finished")?.message, "the disk is full");
  const unclosed = setUp({ closeFails: new Error("the disk is full") });
  const b = session();
  const ended = unclosed.experimenter.submit(b, ANALYZE);
  await soon();
  await unclosed.engine.last.end();
  await ended;
  assert.match(unclosed.failures[0]?.message ?? "", /could not be written: the disk is full/);
});

test("an experiment prepares its run again only where another was worked on", async () => {
  const { engine, experimenter } = setUp();
  const [a, b] = [session(), session()] as const;
  a.add(started);
  const first = experimenter.submit(a, EXPERIMENT);
  await soon();
  assert.equal(engine.last.name, "run");
  assert.deepEqual(engine.last.job?.experiments, []);
  // What the file holds already is not told again.
  engine.last.sink(started);
  await engine.last.end();
  await soon();
  assert.equal(engine.last.name, "experiment");
  await engine.last.end();
  await first;
  assert.equal(a.events.length, 1);
  const second = experimenter.submit(a, EXPERIMENT);
  await soon();
  assert.deepEqual(
    engine.calls.map(({ name }) => name),
    ["run", "experiment", "experiment"],
  );
  await engine.last.end();
  await second;
  const [one, other] = engine.calls.flatMap(({ id }) => id ?? []);
  assert.notEqual(one, other);
  b.add(started);
  void experimenter.submit(b, EXPERIMENT);
  await soon();
  assert.equal(engine.last.name, "run");
});

test("a run without a clip and a model takes no experiments", () => {
  const { experimenter } = setUp();
  assert.throws(() => experimenter.submit(session(null), EXPERIMENT), /which clip and model/);
});
