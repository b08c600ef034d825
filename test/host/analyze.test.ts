import assert from "node:assert/strict";
import { basename } from "node:path";
import { after, before, test } from "node:test";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { enginePids } from "./support/processes.ts";
import { eventsOf, eventsOfClip, runFiles } from "./support/run-files.ts";
import { assertShows } from "./support/shown.ts";
import { makeWorkspace, VSCodeWindow } from "./support/window.ts";

const CLIP = "moving-direction-1.mp4";

let window: VSCodeWindow;
before(async () => {
  buildExtension();
  window = await VSCodeWindow.open(makeWorkspace());
});
after(() => window?.close());

async function assertShowsRun(panel: PanelReader): Promise<void> {
  const events = await eventsOfClip(window.workspace, "moving-direction-1");
  const [started] = eventsOf(events, "run.started");
  const [answer] = eventsOf(events, "answer");
  assert.ok(started !== undefined && answer !== undefined);
  await panel.question.filter({ hasText: started.prompt.question }).waitFor();
  await panel.waitForStatus("Finished in");
  assertShows(
    (await panel.answer.locator(".probability").textContent()) ?? undefined,
    answer.answer.probability,
    "the answer",
  );
  const verdict = await panel.answer.locator(".verdict").textContent();
  assert.match(verdict ?? "", answer.correct ? /right/ : /wrong/);

  const layers = eventsOf(events, "layer.clean");
  const [header = [], ...rows] = await panel.table("answer");
  assert.equal(rows.length, started.model.layers);
  for (const { label, text } of started.prompt.options) {
    const column = header.findIndex((name) => name.startsWith(`(${label}) ${text}`));
    assert.ok(column > 0, header.join());
    for (const { layer, normed } of layers) {
      const what = `option ${label} at layer ${layer + 1}`;
      assertShows(rows[layer]?.[column], normed.options[label] ?? Number.NaN, what);
    }
  }

  const results = eventsOf(events, "branch.result");
  const [names = [], ...changes] = await panel.table("knockout");
  const series = names.filter((name) => results.some((result) => result.series === name));
  assert.ok(series.length > 0, names.join());
  for (const { series: name, layer, relative_diff } of results) {
    if (!series.includes(name)) continue;
    const cell = changes[layer]?.[names.indexOf(name)];
    assertShows(cell, relative_diff / 100, `${name} at layer ${layer + 1}`);
  }
}

test("right-clicking a clip and choosing Analyze shows its answer forming, then the finished run", async (context) => {
  const item = await window.openMenu(window.file(CLIP), "Analyze Information Flow");
  const begun = performance.now();
  await item.click();
  const panel = new PanelReader(window.panel());
  await panel.firstChart.waitFor();
  const chart = (performance.now() - begun) / 1000;
  await panel.waitForStatus("Finished in");
  const finished = (performance.now() - begun) / 1000;
  context.diagnostic(
    `right-click to first chart ${chart.toFixed(1)} s, to finished ${finished.toFixed(1)} s`,
  );
  assert.equal(await window.tabs.count(), 1);
});

test("a second analysis is made by the same engine process", async (context) => {
  const before = enginePids(window.server.pid);
  assert.equal(before.length, 1);
  const clip = window.file("object-count-1.mp4");
  const item = await window.openMenu(clip, "Analyze Information Flow");
  const begun = performance.now();
  await item.click();
  await window.tabs.filter({ hasText: "object-count-1" }).waitFor();
  const panel = new PanelReader(window.panel());
  await panel.question.filter({ hasText: /how many/i }).waitFor();
  await panel.firstChart.waitFor();
  const chart = (performance.now() - begun) / 1000;
  await panel.waitForStatus("Finished in");
  const finished = (performance.now() - begun) / 1000;
  context.diagnostic(
    `right-click to first chart ${chart.toFixed(1)} s, to finished ${finished.toFixed(1)} s`,
  );
  // Neither was a process started for it, nor the model opened again.
  assert.deepEqual(enginePids(window.server.pid), before);
  await window.closeActiveTab();
  await window.tabs.filter({ hasText: "object-count-1" }).waitFor({ state: "detached" });
});

test("the panel shows the numbers that stand in the run file", async () => {
  await assertShowsRun(new PanelReader(window.panel()));
});

test("the panel comes back after the window is reloaded", async () => {
  await window.reload();
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  await assertShowsRun(panel);
});

test("the panel survives moving to another editor group", async () => {
  await window.command("View: Move Editor into Next Group");
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  await panel.answer.locator(".probability").waitFor();
});

test("a run file opened from the explorer looks as the run did live", async () => {
  await window.command("View: Close All Editors");
  const [file] = runFiles(window.workspace).filter((path) => path.includes("moving-direction-1"));
  assert.ok(file !== undefined);
  await window.file("flowprobe-runs").click();
  await window.file(basename(file)).dblclick();
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  await assertShowsRun(panel);
  assert.equal(await window.tabs.count(), 1);
});

test("the activity bar lists the embedded model in use, and the runs under their videos", async () => {
  await window.activity("Flowprobe").click();
  const rows = window.page.locator(".pane-body .monaco-list-row");
  await rows.filter({ hasText: "Embedded model" }).filter({ hasText: "in use" }).waitFor();
  await rows.filter({ hasText: CLIP }).filter({ hasText: "1 run" }).waitFor();
  await rows.filter({ hasText: "object-count-1.mp4" }).waitFor();
  const question = (await eventsOfClip(window.workspace, "moving-direction-1"))[0];
  assert.ok(question?.type === "run.started");
  await rows.filter({ hasText: question.prompt.question }).waitFor();
});
