import assert from "node:assert/strict";
import { test } from "node:test";
import { RunSession, type SessionChange } from "../../src/host/runs/session.ts";
import { Timeline } from "../../src/host/runs/timeline.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const run = syntheticRun({ layers: 2 });

function session(timeline?: Timeline): RunSession {
  return new RunSession("file:///a.flow.jsonl", "/a.flow.jsonl", "a", null, false, timeline);
}

test("events are kept in order, progress is passed on", () => {
  const one = session();
  const heard: SessionChange[] = [];
  one.listen((change) => heard.push(change));
  const progress: RunEvent = { type: "progress", phase: "open", done: 0, total: 1 };
  for (const event of [run[0], progress, run[1]]) if (event !== undefined) one.add(event);
  assert.deepEqual(one.events, run.slice(0, 2));
  assert.deepEqual(
    heard.map((change) => (change.kind === "events" ? change.from : change.kind)),
    [0, "progress", 1],
  );
});

test("the last event of a type is found", () => {
  const one = session();
  for (const event of run) one.add(event);
  assert.equal(one.last("layer.clean")?.layer, 1);
  assert.equal(one.last("pathway.found"), undefined);
});

test("a listener that leaves while it is told misses nothing of others", () => {
  const one = session();
  const heard: string[] = [];
  const leave = one.listen(() => {
    heard.push("first");
    leave();
  });
  one.listen(() => heard.push("second"));
  one.setEngine({ kind: "running" });
  one.setEngine({ kind: "idle" });
  assert.deepEqual(heard, ["first", "second", "second"]);
  assert.deepEqual(one.engine, { kind: "idle" });
});

test("a session notes when its run's stages were reached", () => {
  const timeline = new Timeline();
  const one = session(timeline);
  one.setEngine({ kind: "running" });
  for (const event of run) one.add(event);
  for (const stage of ["engine asked", "prompt", "layer", "finished"] as const) {
    assert.ok((timeline.at(stage) ?? -1) >= 0, stage);
  }
  assert.equal(timeline.at("chart"), undefined);
});
