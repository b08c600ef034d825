// Takes the README's pictures of the panel in a real VS Code: node scripts/pictures.mjs.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { register } from "tsx/esm/api";

register();
const { ROOT } = await import("./code-server.ts");
const { makeWorkspace, VSCodeWindow } = await import("../test/host/support/window.ts");
const { PanelReader } = await import("../test/host/support/panel.ts");
const { buildExtension } = await import("../test/host/support/build.ts");

const THEMES = {
  light: "Default Light Modern",
  dark: "Default Dark Modern",
  "high-contrast": "Default High Contrast",
};
/** Views further down, pictured in the dark theme. */
const VIEWS = ["knockout", "lens", "attention", "flow-map", "pathways"];
const SIZE = { width: 1600, height: 1000 };
const folder = join(ROOT, "media", "pictures");
mkdirSync(folder, { recursive: true });

buildExtension();
for (const [name, theme] of Object.entries(THEMES)) {
  const settings = { "workbench.colorTheme": theme, "window.autoDetectColorScheme": false };
  const window = await VSCodeWindow.open(makeWorkspace(settings), {}, SIZE);
  try {
    await window.chooseFromMenu(window.file("moving-direction-1.mp4"), "Analyze Information Flow");
    const panel = new PanelReader(window.panel());
    await panel.waitForStatus("Finished in");
    await window.command("View: Close Secondary Side Bar").catch(() => {});
    // The pointer's hover and the last animations are gone after this.
    await window.page.mouse.move(SIZE.width - 5, SIZE.height / 2);
    await window.page.waitForTimeout(1_500);
    await window.page.screenshot({ path: join(folder, `panel-${name}.png`) });
    if (name !== "dark") continue;
    for (const view of VIEWS) {
      const section = panel.frame.locator(`#view-${view}`);
      if (!(await section.isVisible())) continue;
      await section.scrollIntoViewIfNeeded();
      await window.page.waitForTimeout(1_500);
      await section.screenshot({ path: join(folder, `view-${view}.png`) });
    }
  } finally {
    await window.close();
  }
}
console.log(`pictures are in ${folder}`);
