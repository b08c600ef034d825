import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { eventsOf, eventsOfClip } from "./support/run-files.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

let window: VSCodeWindow;
before(async () => {
  buildExtension();
  const workspace = makeWorkspace();
  writeFileSync(
    join(workspace, "mistakes.vqa.yaml"),
    'video: object-count-2.mp4\nquestions:\n  - question: "How many?"\n    options: ["1", "2"]\n    answer: "3"\n',
  );
  window = await VSCodeWindow.open(workspace);
});
afterEach(() => window.command("View: Close All Editors"));
after(() => window?.close());

test("a CodeLens above a question runs the pathways of that question", async () => {
  await window.file("scene-transition-1.vqa.yaml").dblclick();
  const lens = window.page.locator(".codelens-decoration a");
  await lens.filter({ hasText: "Analyze" }).first().waitFor();
  await lens.filter({ hasText: "Knockout sweep" }).first().waitFor();
  await lens.filter({ hasText: "Pathways" }).first().click();
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  assert.equal(await window.page.locator(".editor-group-container").count(), 2);
  const events = await eventsOfClip(window.workspace, "scene-transition-1");
  const [experiment, ...others] = eventsOf(events, "experiment.started");
  assert.equal(experiment?.kind, "pathways");
  assert.deepEqual(others, []);
  assert.equal(
    eventsOf(events, "branch.result").length,
    experiment?.branches,
    "every branch has a result",
  );
});

test("a mistake in a prompt file is underlined and named in the Problems view", async () => {
  await window.file("mistakes.vqa.yaml").dblclick();
  await window.page.locator(".squiggly-error").first().waitFor();
  await window.command("Problems: Focus on Problems View");
  const problems = window.page.locator(".markers-panel .monaco-list-row");
  await problems.filter({ hasText: "Flowprobe" }).filter({ hasText: '"3"' }).first().waitFor();
  await window.command("View: Hide Panel");
});

test("a question is asked about a clip in three steps, and becomes a prompt file", async () => {
  await window.chooseFromMenu(
    window.file("action-antonym-1.mp4"),
    "Ask a Question About This Video",
  );
  await window.answer("What does the circle do?", "Question");
  await window.answer("grows; shrinks", "Options");
  await window.pick("shrinks");
  const panel = new PanelReader(window.panel());
  await panel.question.filter({ hasText: "What does the circle do?" }).waitFor();
  await panel.waitForStatus("Finished in");
  const [started] = await eventsOfClip(window.workspace, "action-antonym-1");
  assert.ok(started?.type === "run.started");
  assert.deepEqual(
    started.prompt.options.map(({ text }) => text),
    ["grows", "shrinks"],
  );
  const { answer } = started.prompt;
  assert.equal(answer, "B", `the right answer is ${answer}`);

  await window.command("Flowprobe: Create Prompt File from the Last Question");
  const file = join(window.workspace, "asked.vqa.yaml");
  await window.saveAs(file, "action-antonym-1.vqa.yaml");
  await window.tabs.filter({ hasText: "asked.vqa.yaml" }).waitFor();
  const text = readFileSync(file, "utf8");
  assert.match(text, /^video: "action-antonym-1\.mp4"$/m);
  assert.match(text, /question: "What does the circle do\?"/);
  await window.page.locator(".codelens-decoration a").filter({ hasText: "Analyze" }).waitFor();
});

test("an experiment from the palette is added to the run in front, in its panel", async () => {
  await window.chooseFromMenu(window.file("object-count-1.mp4"), "Analyze Information Flow");
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  const before = eventsOf(
    await eventsOfClip(window.workspace, "object-count-1"),
    "experiment.started",
  ).length;
  await window.tabs.filter({ hasText: "object-count-1" }).click();
  await window.command("Flowprobe: Frame-Pair Knockout");
  await window.answer("2-5", "layers");
  const events = await eventually("the experiment's end in the run file", async () => {
    const now = await eventsOfClip(window.workspace, "object-count-1");
    return eventsOf(now, "experiment.finished").length > before ? now : undefined;
  });
  const experiment = eventsOf(events, "experiment.started").at(-1);
  assert.equal(experiment?.kind, "frame-pairs");
  const results = eventsOf(events, "branch.result").filter(
    (result) => result.experiment === experiment?.experiment,
  );
  assert.equal(results.length, experiment?.branches);
  for (const { window: layers } of results) assert.deepEqual(layers, [[1, 5]]);
});
