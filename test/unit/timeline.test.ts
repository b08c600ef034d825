import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline } from "../../src/host/runs/timeline.ts";
import type { ProgressEvent, RunEvent } from "../../src/protocol/events.ts";

const progress = (phase: ProgressEvent["phase"], done: number, total: number): RunEvent => ({
  type: "progress",
  phase,
  done,
  total,
});
const reading = { options: {}, top: [] };
const layer = (index: number): RunEvent => ({
  type: "layer.clean",
  layer: index,
  normed: reading,
  raw: reading,
});

test("a run's stages are noted once each, in the order in which they came, from the command on", () => {
  const timeline = new Timeline(performance.now() - 1_000);
  timeline.reach("panel");
  const events = [
    progress("open", 0, 1),
    progress("open", 1, 1),
    progress("video", 0, 1),
    progress("video", 1, 1),
    progress("vision", 1, 4),
    progress("vision", 4, 4),
    progress("decoder", 1, 1),
    layer(0),
    layer(1),
  ];
  for (const event of events) timeline.follow(event);
  timeline.reach("panel asks");
  const panel = timeline.at("panel");
  timeline.reach("panel");
  assert.equal(timeline.at("panel"), panel, "the first time counts");
  assert.ok(panel !== undefined && panel >= 1_000 && panel < 60_000);
  assert.equal(timeline.at("finished"), undefined);
  const stages = ["panel", "engine answers", "model", "frames", "features", "layer", "panel asks"];
  assert.match(
    String(timeline),
    new RegExp(`^${stages.map((stage) => `${stage} \\d+`).join(", ")} ms$`),
  );
});

test("features that were known count as reached", () => {
  const timeline = new Timeline();
  timeline.follow({ type: "progress", phase: "vision", done: 1, total: 1, cached: true });
  assert.notEqual(timeline.at("features"), undefined);
});
