import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Locator } from "playwright-core";
import { ROOT } from "../../scripts/code-server.ts";
import type { RunEventOf } from "../../src/protocol/events.ts";
import { readRunFile } from "../../src/runs/file.ts";
import { sampleFrames } from "../../src/video/sample-frames.ts";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { eventsOf, eventsOfClip, runFiles } from "./support/run-files.ts";
import { assertShows } from "./support/shown.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

const CLIP = "moving-direction-1";
/** A second model: a copy of the embedded one. */
const MODEL = "copied-model";

let window: VSCodeWindow;
let panel: PanelReader;
let exported: string;
/** The run's title: stem of exported files' names. */
let title: string;
let started: RunEventOf<"run.started">;
let results: RunEventOf<"branch.result">[];
let layers: RunEventOf<"layer.clean">[];
before(async () => {
  buildExtension();
  exported = mkdtempSync(join(tmpdir(), "flowprobe-exported-"));
  cpSync(join(ROOT, "models", "embedded"), join(exported, MODEL), { recursive: true });
  window = await VSCodeWindow.open(
    makeWorkspace({ "flowprobe.modelFolders": [join(exported, MODEL)] }),
  );
  await window.chooseFromMenu(window.file(`${CLIP}.mp4`), "Analyze Information Flow");
  panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  const [file] = runFiles(window.workspace);
  assert.ok(file !== undefined);
  title = basename(file, ".flow.jsonl");
  const events = await eventsOfClip(window.workspace, CLIP);
  const [first] = eventsOf(events, "run.started");
  assert.ok(first !== undefined);
  started = first;
  layers = eventsOf(events, "layer.clean");
  results = eventsOf(events, "branch.result").filter(
    ({ detail }) => detail?.target === "cross-frame",
  );
  assert.ok(results.length > 0);
});
after(async () => {
  await window?.close();
  if (exported !== undefined) rmSync(exported, { recursive: true, force: true });
});

/** Saves a view by one of its tools. */
async function saved(view: string, format: "png" | "svg" | "csv"): Promise<Buffer> {
  const file = join(exported, `${title}-${view}.${format}`);
  await panel.tool(view, format.toUpperCase()).click();
  await window.saveAs(file);
  await panel.said.filter({ hasText: `Saved ${file}` }).waitFor();
  return readFileSync(file);
}

/** Exports the run in front by the command. */
async function exportRun(format: string, name: string): Promise<string> {
  await window.command("Flowprobe: Export Run");
  await window.pick(format);
  const file = join(exported, name);
  await window.saveAs(file);
  await window.notification(`Saved ${name}`).waitFor();
  return file;
}

test("a chart is saved as SVG with its series by name, and as a PNG of twice its size", async () => {
  await saved("knockout", "svg");
  const page = await window.newPage();
  await page.goto(pathToFileURL(join(exported, `${title}-knockout.svg`)).href);
  assert.equal(await page.locator("parsererror").count(), 0);
  const texts = await page.locator("svg text").allTextContents();
  for (const { series } of results) assert.ok(texts.includes(series), texts.join());
  const lines = page.locator("svg polyline[stroke-width='1.5']");
  const strokes = await lines.evaluateAll((all) => all.map((line) => line.getAttribute("stroke")));
  const svg = page.locator("svg");
  const size = [await svg.getAttribute("width"), await svg.getAttribute("height")];
  await page.close();

  const png = await saved("knockout", "png");
  assert.deepEqual(png.subarray(0, 8), Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
  const [picture] = (await sampleFrames(exported, { frames: 1 })).frames;
  assert.ok(picture !== undefined);
  assert.deepEqual(
    [picture.width, picture.height],
    size.map((length) => Math.ceil(2 * Number(length))),
  );
  const colors = new Set<string>();
  for (let at = 0; at < picture.data.length; at += 3) {
    colors.add(Buffer.from(picture.data.subarray(at, at + 3)).toString("hex"));
  }
  assert.ok(strokes.length > 0);
  for (const stroke of strokes) {
    assert.ok(colors.has(stroke?.slice(1).toLowerCase() ?? ""), `${stroke} is in the picture`);
  }
});

test("a chart's CSV holds the run file's numbers in full", async () => {
  const text = (await saved("knockout", "csv")).toString("utf8");
  const [header = "", ...lines] = text.trimEnd().split("\r\n");
  const names = header.split(",");
  assert.equal(lines.length, started.model.layers);
  for (const { series, layer, relative_diff } of results) {
    const cells = lines[layer]?.split(",") ?? [];
    assert.equal(Number(cells[0]), layer + 1);
    const column = names.indexOf(series);
    assert.ok(column > 0, header);
    assert.equal(Number(cells[column]), relative_diff, `${series} at layer ${layer + 1}`);
  }
});

test("a run is exported as JSON with its numbers", async () => {
  const file = await exportRun("JSON", `${title}.json`);
  const run = JSON.parse(readFileSync(file, "utf8"));
  assert.equal(run.model.name, started.model.name);
  assert.equal(run.prompt.question, started.prompt.question);
  assert.equal(run.layers.length, started.model.layers);
  for (const { layer, normed, raw } of layers) {
    assert.deepEqual(run.layers[layer].normed, normed, `layer ${layer}`);
    assert.deepEqual(run.layers[layer].raw, raw, `layer ${layer}`);
  }
  const points = run.experiments.flatMap(({ points }: { points: unknown[] }) => points);
  for (const { type: _, experiment: __, ...point } of results) {
    const same = points.find(
      ({ series, layer }: { series: string; layer: number }) =>
        series === point.series && layer === point.layer,
    );
    assert.deepEqual(same, JSON.parse(JSON.stringify(point)));
  }
});

test("a run is exported in the reference's record layout", async () => {
  const file = await exportRun("Records", `${title}-records.json`);
  const records: Record<string, unknown>[] = JSON.parse(readFileSync(file, "utf8"));
  for (const { series, layer, ...figures } of results) {
    const record = records.find((r) => r.block_desc === series && r.layer === layer);
    assert.ok(record !== undefined, `${series} at layer ${layer}`);
    assert.equal(record.base_score, figures.base_score);
    assert.equal(record.new_score, figures.new_score);
    assert.equal(record.relative_diff, figures.relative_diff);
    assert.equal(record.new_score_gt, figures.new_score_gt);
    assert.equal(record.new_answer, figures.new_answer.trim());
    assert.equal(record.gt, started.prompt.answer);
    assert.equal(record.prompt, started.prompt.text);
  }
});

test("the panel's Export writes one web page that shows the run without VS Code or a network", async () => {
  const file = join(exported, `${title}.html`);
  await panel.button("Export the whole panel").click();
  await window.saveAs(file);
  await panel.said.filter({ hasText: `Saved ${file}` }).waitFor();
  const page = await window.newPage({ offline: true });
  const requests: string[] = [];
  const problems: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  await page.goto(pathToFileURL(file).href);
  const reader = new PanelReader(page);
  await reader.question.filter({ hasText: started.prompt.question }).waitFor();
  assert.deepEqual(await reader.answer.allTextContents(), await panel.answer.allTextContents());
  assert.deepEqual(await reader.table("answer"), await panel.table("answer"));
  assert.deepEqual(await reader.table("knockout"), await panel.table("knockout"));
  assert.deepEqual(
    requests.filter((url) => !/^(file|blob|data):/.test(url)),
    [],
  );
  assert.deepEqual(problems, []);
  await page.close();
});

const quickTitle = (text: string) => window.page.locator(".quick-input-title", { hasText: text });

/**
 * Chooses from the menu of a run's row. A view that is just being refreshed hands the command no
 * run, which is asked for then.
 *
 * @param shown what the command shows once it has its run.
 */
async function chooseForRun(label: string, item: string, shown: Locator): Promise<void> {
  await window.chooseFromMenu(window.row(label), item);
  const asked = quickTitle("Run to");
  await asked.or(shown).filter({ visible: true }).first().waitFor();
  if (await asked.isVisible()) await window.pick(label);
}

test("a run is opened and revealed from the Runs view", async () => {
  await window.activity("Flowprobe").click();
  const run = window.row(started.prompt.question);
  await window.chooseFromMenu(run, "Open Run");
  await window.tabs.filter({ hasText: `${title}.flow.jsonl` }).waitFor();
  const opened = new PanelReader(window.panel());
  await opened.waitForStatus("Finished in");
  const shown = await opened.answer.locator(".probability").textContent();
  const [answer] = eventsOf(await eventsOfClip(window.workspace, CLIP), "answer");
  assertShows(shown ?? undefined, answer?.answer.probability ?? Number.NaN, "the answer");

  await window.chooseFromMenu(run, "Reveal Run in Explorer");
  const revealed = window.file(`${title}.flow.jsonl`);
  await revealed.waitFor();
  await eventually("the run's row in the explorer, selected", async () =>
    /selected|focused/.test((await revealed.getAttribute("class")) ?? "") ? true : undefined,
  );
  await window.activity("Flowprobe").click();
});

test("the palette's commands on a run ask which one", async () => {
  await window.command("Flowprobe: Reveal Run in Explorer");
  await quickTitle("Run to reveal").waitFor();
  await window.pick(started.prompt.question);
  await window.file(`${title}.flow.jsonl`).waitFor();
  await window.activity("Flowprobe").click();
});

test("a renamed run has its name in the Runs view and in both tabs that show it, and goes on there", async () => {
  const { question } = started.prompt;
  await chooseForRun(question, "Rename Run", quickTitle("Rename run"));
  await window.answer("filmed: first", "Rename run");
  const run = window.row("filmed-first");
  await run.waitFor();
  const [renamed = "", ...others] = runFiles(window.workspace);
  assert.deepEqual(others, []);
  assert.equal(basename(renamed), "filmed-first.flow.jsonl");
  // One is the panel of the analysis, one the editor of its file.
  await window.tabs.filter({ hasText: "filmed-first.flow.jsonl" }).waitFor();
  assert.equal(await window.tabs.filter({ hasText: "filmed-first" }).count(), 2);
  assert.equal(await window.tabs.count(), 2);
  await window.tabs.filter({ hasText: /filmed-first$/ }).click();
  await new PanelReader(window.panel()).waitForStatus("Finished in");
  const before = eventsOf((await readRunFile(renamed)).events, "experiment.started").length;
  await window.command("Flowprobe: Keyword Knockout");
  await eventually("the experiment in the renamed file", async () => {
    const { events } = await readRunFile(renamed);
    return eventsOf(events, "experiment.finished").length > before ? true : undefined;
  });
});

test("a run is deleted from the Runs view only when that is confirmed, and its tabs are closed", async () => {
  const run = window.row("filmed-first");
  const [file = ""] = runFiles(window.workspace);
  const dialog = window.page.locator(".monaco-dialog-box", { hasText: file });
  const ask = async () => {
    await chooseForRun("filmed-first", "Delete Run", dialog);
    await dialog.waitFor();
  };
  await ask();
  await window.dialogButton("Cancel").click();
  await dialog.waitFor({ state: "detached" });
  await ask();
  assert.ok(existsSync(file));
  await window.dialogButton("Delete").click();
  await run.waitFor({ state: "detached" });
  assert.deepEqual(runFiles(window.workspace), []);
  await eventually("the tabs' end", async () =>
    (await window.tabs.count()) === 0 ? true : undefined,
  );
});

test("a model of the Models view is used when chosen there, and is no longer listed when removed", async () => {
  const model = window.row(MODEL);
  const embedded = window.row("Embedded model");
  await model.hover();
  await model.getByRole("button", { name: "Use This Model" }).click();
  await model.filter({ hasText: "in use" }).waitFor();
  assert.equal(await embedded.filter({ hasText: "in use" }).count(), 0);
  await embedded.hover();
  await embedded.getByRole("button", { name: "Use This Model" }).click();
  await embedded.filter({ hasText: "in use" }).waitFor();
  await window.chooseFromMenu(model, "Remove Model Folder");
  await model.waitFor({ state: "detached" });
  assert.ok(existsSync(join(exported, MODEL, "config.json")), "the folder itself stays");
});

test("the walkthrough's steps lead to the models and to the sample, analyzed", async () => {
  await window.activity("Explorer").click();
  await window.command("Welcome: Open Walkthrough");
  await window.pick("Get Started with Flowprobe");
  const step = (title: string) => window.page.locator(".getting-started-step", { hasText: title });
  const done = (title: string) => step(title).locator(".codicon-getting-started-step-checked");
  const models = step("Look at the models");
  await models.locator(".monaco-button", { hasText: "Show Models" }).click();
  await window.row("Embedded model").waitFor();
  await done("Look at the models").waitFor();

  const sample = step("Analyze the sample clip");
  assert.equal(await done("Analyze the sample clip").count(), 0);
  await sample.click();
  await sample.locator(".monaco-button", { hasText: "Analyze the Sample Clip" }).click();
  await done("Analyze the sample clip").waitFor();
  // The step's picture is a webview, too, and comes first.
  const reader = new PanelReader(window.panel(1));
  await reader.waitForStatus("Finished in");
  await reader.question.filter({ hasText: started.prompt.question }).waitFor();
  await window.row(started.prompt.question).waitFor();
});
