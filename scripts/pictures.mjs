// Takes the README's pictures of the panel in a real VS Code: node scripts/pictures.mjs.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { register } from "tsx/esm/api";

register();
const { ROOT } = await import("./code-server.ts");
const { makeWorkspace, VSCodeWindow } = await import("../test/host/support/window.ts");
const { PanelReader } = await import("../test/host/support/panel.ts");
const { buildExtension } = await import("../test/host/support/build.ts");

/** Themes by the names that VS Code's theme picker shows. */
const THEMES = {
  light: "Light Modern",
  "high-contrast": "Dark High Contrast",
  dark: "Dark Modern",
};
/** Views further down, pictured in the last theme. */
const VIEWS = ["knockout", "lens", "attention", "flow-map", "pathways"];
const SIZE = { width: 1600, height: 1000 };
/** Tall enough for the longest view as a whole. */
const VIEW_SIZE = { width: 1600, height: 2200 };
/** Tall enough for a comparison down to its flow map. */
const COMPARE_HEIGHT = 1900;
/** Layers that the pictured pathway keeps, by what the extension asks for. */
const PATHWAY = [
  ["3-6", "cross-frame"],
  ["3-8", "video → question"],
  ["7-9", "question → last"],
];
/** Until hovers, animations and a change of theme have settled. */
const SETTLE_MS = 1_500;
const folder = join(ROOT, "media", "pictures");
mkdirSync(folder, { recursive: true });

buildExtension();
const window = await VSCodeWindow.open(makeWorkspace(), {}, SIZE);
try {
  await window.chooseFromMenu(window.file("moving-direction-1.mp4"), "Analyze Information Flow");
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  for (const [name, theme] of Object.entries(THEMES)) {
    await window.command("Preferences: Color Theme");
    // The picker previews what is focused: wait for the list, narrow it, choose the row itself.
    await window.page.locator(".quick-input-list:visible .monaco-list-row").first().waitFor();
    await window.page.waitForTimeout(SETTLE_MS);
    await window.quickInput.fill(theme);
    await window.page.waitForTimeout(SETTLE_MS);
    await window.pick(theme);
    await window.page.mouse.move(SIZE.width - 5, SIZE.height / 2);
    await window.page.waitForTimeout(SETTLE_MS);
    await window.page.screenshot({ path: join(folder, `panel-${name}.png`) });
  }
  // The paper's ranges, scaled to the model, so that the pathways view has a result to show.
  await window.command("Flowprobe: Effective Pathways");
  for (const [range, asked] of PATHWAY) await window.answer(range, asked);
  await panel.frame.locator("#view-pathways").getByText("edges left").first().waitFor();
  await window.page.waitForTimeout(4 * SETTLE_MS);
  await window.page.setViewportSize(VIEW_SIZE);
  for (const view of VIEWS) {
    const section = panel.frame.locator(`#view-${view}`);
    if (!(await section.isVisible())) continue;
    await section.scrollIntoViewIfNeeded();
    await window.page.waitForTimeout(SETTLE_MS);
    await section.screenshot({ path: join(folder, `view-${view}.png`) });
  }
  // The detected stages as a Sankey, and the same clip with its frames reversed beside it.
  const sankey = panel.frame
    .locator("#view-flow-map .stack")
    .filter({ has: panel.frame.locator(".sankey") });
  await sankey.scrollIntoViewIfNeeded();
  await window.page.waitForTimeout(SETTLE_MS);
  await sankey.screenshot({ path: join(folder, "view-sankey.png") });
  await window.page.setViewportSize(SIZE);
  await window.chooseFromMenu(
    window.file("moving-direction-1.mp4"),
    "Analyze a Counterfactual Clip",
  );
  await window.pick("Reversed");
  await panel.frame.locator(".badge").getByText("reversed").waitFor();
  await panel.waitForStatus("Finished in");
  await window.command("Flowprobe: Compare Runs");
  // Both runs of the clip are listed; the one in front is chosen already.
  const rows = window.page.locator(".quick-input-list:visible .monaco-list-row");
  await rows.nth(1).waitFor();
  await window.page.locator(".quick-input-widget .quick-input-check-all").click();
  await window.page.keyboard.press("Enter");
  await window.page.setViewportSize({ width: SIZE.width, height: COMPARE_HEIGHT });
  await panel.frame.locator("#view-compare-flow-map").waitFor();
  await window.page.waitForTimeout(4 * SETTLE_MS);
  await panel.frame.locator("#compare").screenshot({ path: join(folder, "view-compare.png") });
} finally {
  await window.close();
}
console.log(`pictures are in ${folder}`);
