import assert from "node:assert/strict";
import { test } from "node:test";
import { generatedAnswers } from "../../src/cli/experiments/generation-report.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { alignRuns, compareAnswers } from "../../src/runs/comparison/compare.ts";
import { runFacts } from "../../src/runs/comparison/facts.ts";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { runToJson } from "../../src/runs/exports.ts";
import { answerProbability, foldRun, RunState } from "../../src/runs/state.ts";
import { experimentsCsv } from "../../src/runs/tables.ts";
import { Store } from "../../webview/store.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const run = syntheticRun({ layers: 3, lens: true, attention: true });

/** A generation of a text, a letter a token; `until` letters of it, or all and its end. */
function generation(id: string, text: string, until?: number): RunEvent[] {
  const letters = [...text].slice(0, until);
  const tokens = letters.map(
    (letter, step): RunEvent => ({
      type: "generation.token",
      experiment: id,
      series: "clean",
      step,
      token: { id: letter.charCodeAt(0), token: letter, probability: 0.5 },
      text: text.slice(0, step + 1),
    }),
  );
  const recipe = { maxTokens: 9, cuts: [] };
  return [
    { type: "experiment.started", experiment: id, kind: "generation", recipe, branches: 0 },
    ...tokens,
    ...(until === undefined
      ? [{ type: "experiment.finished", experiment: id, seconds: 1 } as const]
      : []),
  ];
}
const died: RunEvent = { type: "run.finished", status: "failed", message: "died", seconds: 1 };

/** What the panel, the export and the command line say was generated. */
function textsOf(events: readonly RunEvent[]): string[] {
  const store = new Store();
  for (const event of events) store.apply(event);
  const panel = [...store.generations.values()].map(({ tokens }) =>
    tokens.map(({ token }) => token).join(""),
  );
  const generated = runToJson(events).generated as { token: { token: string } }[];
  assert.equal(generated.map(({ token }) => token.token).join(""), panel.join(""));
  const told = generatedAnswers(events);
  assert.deepEqual(
    told.map(({ tokens }) => tokens.map(({ token }) => token).join("")),
    panel,
  );
  assert.deepEqual(
    told.map(({ text }) => text),
    panel,
  );
  return panel;
}

test("a text generated once more after the engine died counts once", () => {
  const again = [...run, ...generation("g1", "abc", 2), died, ...generation("g2", "abc")];
  assert.deepEqual(textsOf(again), ["abc"]);
  // As older versions wrote it: under the same id.
  const same = [...run, ...generation("g1", "abc", 2), died, ...generation("g1", "abc")];
  assert.deepEqual(textsOf(same), ["abc"]);
  // A process that was killed says nothing of its end.
  const killed = [...run, ...generation("g1", "abc", 2), ...generation("g2", "abc")];
  assert.deepEqual(textsOf(killed), ["abc"]);
});

test("a stopped text stays until another one is made", () => {
  assert.deepEqual(textsOf([...run, ...generation("g1", "abc", 2), died]), ["ab"]);
  const anew = [...run, ...generation("g1", "abc", 2), died, ...generation("g2", "abc", 1)];
  assert.deepEqual(textsOf(anew), ["a"]);
});

test("two complete experiments of one recipe both stay", () => {
  assert.deepEqual(textsOf([...run, ...generation("g1", "ab"), ...generation("g2", "ab")]), [
    "ab",
    "ab",
  ]);
});

test("what is told twice counts once, everywhere", () => {
  const started = run.filter(({ type }) => type === "run.started");
  const clean = run.filter(({ type }) => type === "layer.clean" || type === "answer");
  const results = run.filter(({ type }) => type === "branch.result");
  const end = run.findIndex(({ type }) => type === "experiment.finished");
  const twice = [...run.slice(0, end), ...started, ...clean, ...results, ...run.slice(end)];
  assert.deepEqual(runToJson(twice), runToJson(run));
  assert.equal(experimentsCsv(twice), experimentsCsv(run));
  assert.deepEqual(experimentsOf(twice), experimentsOf(run));
  assert.deepEqual(runFacts(twice), runFacts(run));
  const [once, again] = [foldRun(run), foldRun(twice)];
  assert.equal(again.layers[0]?.lens.length, once.layers[0]?.lens.length);
  assert.equal(again.layers[0]?.attention.length, once.layers[0]?.attention.length);
  assert.deepEqual([...again.experiments.values()], [...once.experiments.values()]);
});

test("readings of another kind are added, not put in place", () => {
  const layer = run.find((event) => event.type === "layer.clean");
  assert.ok(layer?.type === "layer.clean" && layer.lens !== undefined);
  const raw: RunEvent = { ...layer, lens: { ...layer.lens, norm: false } };
  const kinds = foldRun([...run, raw, raw]).layers[0]?.lens.map(({ norm }) => norm);
  assert.deepEqual(kinds, [true, false]);
});

test("events that belong to nothing are left out", () => {
  const state = new RunState();
  const layer = run.find(({ type }) => type === "layer.clean");
  const result = run.find(({ type }) => type === "branch.result");
  assert.ok(layer !== undefined && result !== undefined);
  for (const event of [layer, result]) assert.deepEqual(state.apply(event), []);
  assert.equal(state.layers.length + state.experiments.size, 0);
});

test("an answer beyond the likeliest tokens is unknown, not 0", () => {
  const top = [{ id: 7, token: " Up", probability: 0.5 }];
  const reading = { options: { A: 0.25 }, top };
  assert.equal(answerProbability(reading, { label: "A" }), 0.25);
  assert.equal(answerProbability(reading, { label: "B" }), null);
  assert.equal(answerProbability(reading, { label: "toString" }), null);
  assert.equal(answerProbability(reading, { id: 7 }), 0.5);
  assert.equal(answerProbability(reading, { id: 8 }), null);
  assert.equal(answerProbability(reading, { token: "Up" }), 0.5);

  const open = run.map((event): RunEvent => {
    if (event.type === "run.started") {
      return { ...event, prompt: { ...event.prompt, options: [], answer: undefined } };
    }
    if (event.type === "answer")
      return { ...event, answer: { id: 8, token: " Q", probability: 1 } };
    if (event.type !== "layer.clean") return event;
    const read = {
      options: {},
      top: event.layer === 2 ? [{ ...top[0], id: 8, token: " Q" }] : top,
    };
    return { ...event, normed: read, raw: read } as RunEvent;
  });
  const facts = runFacts(open);
  assert.ok(facts !== null);
  const subject = { kind: "token", token: "Q" } as const;
  const { values } = compareAnswers([facts, facts], alignRuns([facts, facts]), subject, "normed");
  assert.deepEqual(values[0], [null, null, 0.5]);
});
