import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { readRunFile } from "../../src/runs/file.ts";
import { encodePicture } from "../../src/video/pictures.ts";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { eventsOf, runFiles } from "./support/run-files.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

const SIDE = 96;
const IMAGES = 8;

/** A sequence of images in which a bright square goes down, and a question about it. */
function addImageFolder(workspace: string): void {
  const folder = join(workspace, "sequence");
  mkdirSync(folder);
  for (let image = 0; image < IMAGES; image++) {
    const data = new Uint8Array(SIDE * SIDE * 3).fill(40);
    for (let y = 0; y < 20; y++) {
      const start = ((8 + image * 8 + y) * SIDE + 38) * 3;
      data.fill(220, start, start + 60);
    }
    const png = encodePicture({ width: SIDE, height: SIDE, data }, SIDE);
    writeFileSync(join(folder, `image-${image}.png`), png);
  }
  writeFileSync(
    join(workspace, "sequence.vqa.yaml"),
    'video: sequence\nquestions:\n  - question: "Where does the square go?"\n' +
      '    options: ["Up", "Down"]\n    answer: "Down"\n',
  );
}

let window: VSCodeWindow;
before(async () => {
  buildExtension();
  const workspace = makeWorkspace();
  addImageFolder(workspace);
  window = await VSCodeWindow.open(workspace);
});
after(() => window?.close());

/** The run file of a clip, once there is one with this in its name. */
function runOf(stem: string): Promise<string> {
  return eventually(`a run of ${stem}`, () =>
    runFiles(window.workspace).find((file) => basename(file).startsWith(stem)),
  );
}

test("a folder of images is analyzed by a right-click, like a video", async () => {
  // The folder's items come when its images have been found.
  const item = await eventually("the folder's menu", async () => {
    await window.file("sequence").click({ button: "right" });
    await window.page.waitForTimeout(500);
    const found = window.menuItem("Analyze Information Flow");
    if (await found.isVisible()) return found;
    await window.page.keyboard.press("Escape");
    return undefined;
  });
  await item.click();
  await window.tabs.filter({ hasText: "sequence" }).first().waitFor();
  const panel = new PanelReader(window.panel());
  await panel.question.filter({ hasText: "Where does the square go?" }).waitFor();
  await panel.waitForStatus("Finished in");
  const { events } = await readRunFile(await runOf("sequence"));
  const [started] = eventsOf(events, "run.started");
  assert.equal(started?.video.path, join(window.workspace, "sequence"));
  assert.equal(eventsOf(events, "layer.clean").length, started.model.layers);
  await window.command("View: Close All Editors");
});

test("a counterfactual clip is analyzed with its frames in the order that was picked", async () => {
  await window.chooseFromMenu(
    window.file("moving-direction-1.mp4"),
    "Analyze a Counterfactual Clip",
  );
  await window.pick("Reversed");
  await window.tabs.filter({ hasText: "moving-direction-1" }).first().waitFor();
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  const file = await runOf("moving-direction-1");
  const { events } = await readRunFile(file);
  const [started] = eventsOf(events, "run.started");
  assert.equal(started?.video.order, "reversed");
  const indices = started.video.frames.map(({ index }) => index);
  assert.deepEqual(
    indices,
    indices.toSorted((a, b) => b - a),
  );
  await panel.frame.locator(".head .badge", { hasText: "reversed" }).waitFor();
});
