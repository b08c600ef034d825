import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { encodeEvent } from "../../src/runs/codec.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { enginePids } from "./support/processes.ts";
import { eventsOfClip } from "./support/run-files.ts";
import { makeWorkspace, VSCodeWindow } from "./support/window.ts";

/** Longer than a trusted window takes to make its engine ready. */
const WATCH_MS = 8_000;

/** A clip whose name VS Code would make a link of, which runs a command when it is clicked. */
const LINK_CLIP = "[Open](command:workbench.action.files.newUntitledFile).mp4";
const FOREIGN_MODEL = "/nowhere/chosen-by-a-run-file";
const FOREIGN_RUN = "foreign.flow.jsonl";

/** Files that a folder of somebody else's may hold. */
function addForeignFiles(workspace: string): string {
  writeFileSync(join(workspace, LINK_CLIP), "this is text, not a video\n".repeat(100));
  const question = `video: ${JSON.stringify(LINK_CLIP)}\nquestion: What is it?\n`;
  writeFileSync(join(workspace, "link.vqa.yaml"), question);
  const events = syntheticRun({ layers: 4 }).map((event) =>
    event.type === "run.started"
      ? { ...event, model: { ...event.model, folder: FOREIGN_MODEL, embedded: false } }
      : event,
  );
  mkdirSync(join(workspace, "foreign"));
  const file = join(workspace, "foreign", FOREIGN_RUN);
  writeFileSync(file, events.map((event) => `${encodeEvent(event)}\n`).join(""));
  return workspace;
}

let window: VSCodeWindow;
before(async () => {
  buildExtension();
  const hostile = {
    "flowprobe.model": "/nowhere/chosen-by-the-workspace",
    "flowprobe.runs.folder": "/nowhere/runs",
  };
  window = await VSCodeWindow.open(addForeignFiles(makeWorkspace(hostile)), {
    workspaceTrust: true,
  });
  // Some versions ask, before or after they say that the folder is restricted.
  const no = window.page.locator(".monaco-dialog-box .monaco-button", { hasText: /^No/ });
  await window.page.addLocatorHandler(no, () => no.click());
  const restricted = window.page.locator(".statusbar-item", { hasText: "Restricted Mode" }).first();
  await restricted.waitFor();
});
after(() => window?.close());

test("in a folder that is not trusted, nothing starts by itself", async () => {
  await window.page.waitForTimeout(WATCH_MS);
  assert.deepEqual(enginePids(window.server.pid), []);
});

test("in a folder that is not trusted, its settings choose neither model nor folder, and a click analyzes", async () => {
  await window.chooseFromMenu(window.file("moving-direction-1.mp4"), "Analyze Information Flow");
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  const [started] = await eventsOfClip(window.workspace, "moving-direction-1");
  assert.ok(started?.type === "run.started");
  assert.equal(started.model.embedded, true);
});

test("a clip's name makes no link in a notification", async () => {
  await window.chooseFromMenu(window.file(LINK_CLIP), "Analyze Information Flow");
  const message = window.notification("[Open] (command:");
  await message.waitFor();
  assert.equal(await message.locator(".notification-list-item-message a").count(), 0);
});

test("a run file's model and clip are not opened before the user agrees", async () => {
  const file = join(window.workspace, "foreign", FOREIGN_RUN);
  const before = readFileSync(file, "utf8");
  await window.command("View: Close All Editors");
  await window.file("foreign").click();
  await window.file(FOREIGN_RUN).dblclick();
  await window.tabs.filter({ hasText: FOREIGN_RUN }).waitFor();
  await new PanelReader(window.panel()).question.waitFor();
  await window.command("Flowprobe: Frame-Pair Knockout");
  await window.quickInput.press("Enter");
  const dialog = window.page.locator(".monaco-dialog-box");
  await dialog.filter({ hasText: FOREIGN_MODEL }).waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "hidden" });
  await window.page.waitForTimeout(2_000);
  assert.equal(readFileSync(file, "utf8"), before);
  assert.equal(await window.notification(FOREIGN_MODEL).count(), 0);
});
