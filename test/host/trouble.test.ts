import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { readRunFile } from "../../src/runs/file.ts";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { enginePids } from "./support/processes.ts";
import { eventsOf, runFiles } from "./support/run-files.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

let window: VSCodeWindow;
before(async () => {
  buildExtension();
  const workspace = makeWorkspace();
  // No video at all, and one that ends in the middle of its stream.
  writeFileSync(join(workspace, "no-video.mp4"), "this is text, not a video\n".repeat(100));
  const whole = readFileSync(join(workspace, "moving-direction-1.mp4"));
  writeFileSync(join(workspace, "cut-off.mp4"), whole.subarray(0, whole.length / 3));
  const questions = readFileSync(join(workspace, "moving-direction-1.vqa.yaml"), "utf8");
  for (const name of ["no-video", "cut-off"]) {
    const text = questions.replaceAll("moving-direction-1.mp4", `${name}.mp4`);
    writeFileSync(join(workspace, `${name}.vqa.yaml`), text);
  }
  writeFileSync(join(workspace, "no-run.flow.jsonl"), '{"type":"notice"}\n');
  window = await VSCodeWindow.open(workspace);
});
afterEach(() => window.command("View: Close All Editors"));
after(() => window?.close());

async function analyze(clip: string): Promise<PanelReader> {
  await window.chooseFromMenu(window.file(clip), "Analyze Information Flow");
  await window.tabs
    .filter({ hasText: clip.replace(/\.\w+$/, "") })
    .first()
    .waitFor();
  return new PanelReader(window.panel());
}

/** The run file of a clip that holds a layer but no end yet. */
function underWay(clip: string): Promise<string> {
  return eventually(`a run of ${clip} under way`, () =>
    runFiles(window.workspace).find((file) => {
      if (!basename(file).startsWith(`${clip}.`)) return false;
      const text = readFileSync(file, "utf8");
      return text.includes('"layer.clean"') && !text.includes('"run.finished"');
    }),
  );
}

test("cancelling in the middle of a computation that hangs ends the run, and what was found is kept", async (context) => {
  const panel = await analyze("moving-direction-1.mp4");
  const file = await underWay("moving-direction-1");
  // A computation that does not come back: only replacing the process can end it in time.
  const [pid] = enginePids(window.server.pid);
  assert.ok(pid !== undefined, "the engine's process is there");
  process.kill(pid, "SIGSTOP");
  await window.statusItem.click();
  const begun = performance.now();
  const end = await eventually("the end of the run in its file", () =>
    readFileSync(file, "utf8").includes('"run.finished"') ? performance.now() : undefined,
  );
  context.diagnostic(`click on cancel to the run's end in its file ${Math.round(end - begun)} ms`);
  // The engine's own second is measured inside VS Code; here a browser's click comes on top.
  assert.ok(end - begun < 5_000, `${end - begun} ms`);
  await panel.waitForStatus("Cancelled; what was found is kept");
  const { events, problems } = await readRunFile(file);
  assert.deepEqual(problems, []);
  assert.ok(eventsOf(events, "layer.clean").length > 0);
  assert.equal(events.at(-1)?.type, "run.finished");
});

test("an engine that is killed in the middle of a run gives one message, and Restart goes on", async () => {
  const panel = await analyze("object-count-1.mp4");
  const file = await underWay("object-count-1");
  const [pid] = enginePids(window.server.pid);
  assert.ok(pid !== undefined, "the engine's process is there");
  process.kill(pid, "SIGKILL");
  const message = window.notification("ended unexpectedly");
  await message.waitFor();
  assert.equal(await message.count(), 1);
  assert.equal(await message.getByText("Show Log").count(), 1);
  await panel.waitForStatus("The engine stopped");
  await panel.button("Restart the engine").waitFor();
  const kept = (await readRunFile(file)).events;
  assert.ok(eventsOf(kept, "layer.clean").length > 0);
  assert.equal(eventsOf(kept, "run.finished").at(-1)?.status, "failed");

  await message.getByText("Restart", { exact: true }).click();
  await panel.waitForStatus("Finished in");
  const [other] = enginePids(window.server.pid);
  assert.ok(other !== undefined && other !== pid);
  const { events } = await readRunFile(file);
  assert.equal(eventsOf(events, "run.finished").at(-1)?.status, "done");
});

test("a file that is no video gives one clear message, in the panel and as a notification", async () => {
  const panel = await analyze("no-video.mp4");
  await panel.waitForStatus("Failed:");
  assert.match((await panel.status.textContent()) ?? "", /no-video\.mp4/);
  await window.notification("no-video.mp4").waitFor();
});

test("a video that was cut off is refused, with its name and why", async () => {
  const panel = await analyze("cut-off.mp4");
  await panel.waitForStatus("Failed:");
  assert.match((await panel.status.textContent()) ?? "", /cut-off\.mp4: .*cut off; copy it again/);
});

test("a hostile run file is shown as text, and its damage is told", async () => {
  const [source] = runFiles(window.workspace).filter((file) => file.includes("object-count-1"));
  assert.ok(source !== undefined);
  const attack =
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
  const lines = readFileSync(source, "utf8").trimEnd().split("\n");
  const [first = "", ...rest] = lines;
  const started = JSON.parse(first);
  started.prompt.question = attack;
  started.model.name = attack;
  for (const token of started.tokens.text) token.text = attack;
  const hostile = [
    JSON.stringify(started),
    '{"type":"from.tomorrow","value":1}',
    JSON.stringify({ type: "notice", level: "info", message: attack }),
    "x".repeat(1_500_000),
    ...rest.filter((line) => !/"run\.(started|finished)"/.test(line)),
    '{"type":"run.finished","status":"do',
  ].join("\n");
  const name = "hostile.flow.jsonl";
  writeFileSync(join(window.workspace, name), hostile);
  await window.file(name).dblclick();
  await window.tabs.filter({ hasText: name }).waitFor();
  const panel = new PanelReader(window.panel());
  await panel.question.filter({ hasText: "<script>" }).waitFor();
  assert.equal(await panel.question.textContent(), attack);
  const notices = panel.frame.locator(".notices li");
  await notices.filter({ hasText: "is cut off" }).waitFor();
  await notices.filter({ hasText: "line 2" }).waitFor();
  assert.equal(await panel.frame.locator("img[src=x]").count(), 0);
  assert.equal(await panel.frame.locator("body script:not([nonce])").count(), 0);
  const title = await panel.frame.locator("html").evaluate((html) => html.ownerDocument.title);
  assert.notEqual(title, "owned");
});

test("a file that is no run is refused with the reason, and VS Code goes on", async () => {
  await window.file("no-run.flow.jsonl").dblclick();
  await window.panel().getByText("not a Flowprobe run").waitFor();
  await window.command("View: Close All Editors");
  const panel = await analyze("object-count-2.mp4");
  await panel.waitForStatus("Finished in");
});
