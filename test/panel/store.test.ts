import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../../webview/store.ts";
import { syntheticRun } from "./synthetic-run.ts";

const run = syntheticRun({ layers: 4 });

function filled(): Store {
  const store = new Store();
  for (const event of run) store.apply(event);
  return store;
}

test("views are notified once until they take the changes", () => {
  let notified = 0;
  const store = new Store(() => {
    notified += 1;
  });
  for (const event of run) store.apply(event);
  assert.equal(notified, 1);
  const changes = store.takeChanges();
  for (const topic of ["run", "layers", "answer", "finished"] as const) {
    assert.ok(changes.has(topic), topic);
  }
  assert.equal(store.takeChanges().size, 0);
  store.chooseToken(3);
  assert.equal(notified, 2);
});

test("progress is no event of the run, and ends with it", () => {
  const store = new Store();
  store.apply({ type: "progress", phase: "decoder", done: 1, total: 4 });
  assert.equal(store.next, 0);
  assert.equal(store.progress?.done, 1);
  for (const event of run) store.apply(event);
  assert.equal(store.next, run.length);
  assert.equal(store.progress, null);
});

test("the layer shown is the hovered, the chosen, or the last", () => {
  const store = filled();
  assert.equal(store.shownLayer, 3);
  store.chooseLayer(1);
  assert.equal(store.shownLayer, 1);
  store.setHover({ layer: 2 });
  assert.deepEqual([store.shownLayer, store.chosenLayer], [2, 1]);
  store.setHover({ layer: null });
  store.chooseLayer(99);
  assert.equal(store.chosenLayer, 3);
  store.chooseLayer(-5);
  assert.equal(store.chosenLayer, 0);
});

test("what changes nothing notifies nobody", () => {
  const store = filled();
  store.chooseLayer(2);
  store.choose("lens:search", "red");
  store.takeChanges();
  store.chooseLayer(2);
  store.setHover({ layer: null, token: null });
  store.choose("lens:search", "red");
  assert.equal(store.takeChanges().size, 0);
});

test("a selection survives a reload, malformed parts do not", () => {
  const store = filled();
  store.chooseLayer(1);
  store.chooseToken(7);
  store.choose("fold:lens", true);
  const kept: unknown = JSON.parse(JSON.stringify(store.toState("file:///a")));
  const again = filled();
  again.restore(kept as ReturnType<Store["toState"]>);
  assert.deepEqual([again.layer, again.token, again.choice("fold:lens", false)], [1, 7, true]);
  assert.equal(again.choice("fold:lens", "text"), "text");
  const damaged = { layer: "x", token: 1.5, choices: { a: {}, b: null } };
  const other = filled();
  other.restore(damaged as unknown as Parameters<Store["restore"]>[0]);
  assert.deepEqual([other.layer, other.token, other.choice("a", 1)], [null, null, 1]);
});
