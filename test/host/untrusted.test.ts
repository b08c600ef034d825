import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { enginePids } from "./support/processes.ts";
import { eventsOfClip } from "./support/run-files.ts";
import { makeWorkspace, VSCodeWindow } from "./support/window.ts";

/** Longer than a trusted window takes to make its engine ready. */
const WATCH_MS = 8_000;

let window: VSCodeWindow;
before(async () => {
  buildExtension();
  const hostile = {
    "flowprobe.model": "/nowhere/chosen-by-the-workspace",
    "flowprobe.runs.folder": "/nowhere/runs",
  };
  window = await VSCodeWindow.open(makeWorkspace(hostile), { workspaceTrust: true });
  // Some versions ask first; others open the folder restricted, and say so.
  const no = window.page.locator(".monaco-dialog-box .monaco-button", { hasText: /^No/ });
  const restricted = window.page.locator(".statusbar-item", { hasText: "Restricted Mode" }).first();
  await no.or(restricted).first().waitFor();
  if (await no.isVisible()) await no.click();
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
