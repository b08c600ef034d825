// Takes the README's pictures of the panel in a real VS Code: node scripts/pictures.mjs.
import { mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { register } from "tsx/esm/api";

register();
const { ROOT } = await import("./code-server.ts");
const { makeWorkspace, VSCodeWindow } = await import("../test/host/support/window.ts");
const { PanelReader } = await import("../test/host/support/panel.ts");
const { runFiles } = await import("../test/host/support/run-files.ts");
const { buildExtension } = await import("../test/host/support/build.ts");

const CLIP = "moving-direction-1.mp4";
/** Themes by the names that VS Code's theme picker shows; the views are pictured in the last. */
const THEMES = {
  light: "Light Modern",
  "high-contrast": "Dark High Contrast",
  dark: "Dark Modern",
};
const SIZE = { width: 1600, height: 1000 };
/** Tall enough for the longest view, and for a comparison, as a whole. */
const VIEW_SIZE = { width: 1600, height: 2700 };
/** The target of the pictured knockout sweep. */
const KNOCKOUT = "Video and question to question and last";
/** The cut that the pictured "what if" draws. */
const CUT = { from: "video", to: "question", name: "the question does not see the video" };
/** An open-ended question for the picture of generated text. */
const OPEN_QUESTION = "Which way does the red circle go?";
/** Until hovers, animations and a change of theme have settled. */
const SETTLE_MS = 1_500;
const folder = join(ROOT, "media", "pictures");
mkdirSync(folder, { recursive: true });

buildExtension();
const window = await VSCodeWindow.open(makeWorkspace(), {}, SIZE);
const panel = new PanelReader(window.panel());

/** Waits until nothing moves, with the pointer where it shows nothing. */
async function settle() {
  await window.page.mouse.move(SIZE.width - 5, 5);
  await window.page.waitForTimeout(SETTLE_MS);
}

/** Pictures a view, or a part of it, as a whole. */
async function picture(view, name = view, part = undefined) {
  const section = await panel.lookAt(view);
  const pictured = part === undefined ? section : section.locator(part).first();
  await pictured.scrollIntoViewIfNeeded();
  await settle();
  await pictured.screenshot({ path: join(folder, `view-${name}.png`) });
}

async function setTheme(theme) {
  await window.command("Preferences: Color Theme");
  // The picker previews what is focused: wait for the list, narrow it, choose the row itself.
  await window.page.locator(".quick-input-list:visible .monaco-list-row").first().waitFor();
  await window.page.waitForTimeout(SETTLE_MS);
  await window.quickInput.fill(theme);
  await window.page.waitForTimeout(SETTLE_MS);
  await window.pick(theme);
  await settle();
}

try {
  await window.chooseFromMenu(window.file(CLIP), "Analyze Information Flow");
  await panel.waitForStatus("Finished in");
  for (const [name, theme] of Object.entries(THEMES)) {
    await setTheme(theme);
    await window.page.screenshot({ path: join(folder, `panel-${name}.png`) });
  }

  await window.page.setViewportSize(VIEW_SIZE);
  await picture("answer");
  // On this clip the cuts between frames, shown first, change next to nothing.
  await panel.choose("knockout", "Target", KNOCKOUT);
  await picture("knockout");
  await picture("lens");
  await panel.setLayer(6);
  await picture("attention");
  await picture("flow-map");
  await picture("flow-map", "sankey", ".stack:has(.sankey)");
  await (await panel.lookAt("pathways")).getByText("Find for me").click();
  await panel.view("pathways").locator(".finder", { hasText: "Found:" }).waitFor();
  await picture("pathways");
  await panel.lookAt("what-if");
  await panel.choose("what-if", "Cut off these tokens", CUT.from);
  await panel.choose("what-if", "from being read by these", CUT.to);
  const name = panel.view("what-if").locator("vscode-text-field").nth(1);
  await name.locator("input").fill(CUT.name);
  await panel.view("what-if").getByRole("button", { name: "Run this cut" }).click();
  await panel.view("what-if").locator("article").waitFor();
  await picture("what-if");

  // The same clip with its frames reversed, beside it as filmed.
  await window.chooseFromMenu(window.file(CLIP), "Analyze a Counterfactual Clip");
  await window.pick("Reversed");
  await panel.frame.locator(".head .badge", { hasText: "reversed" }).waitFor();
  await panel.waitForStatus("Finished in");
  await window.command("View: Close All Editors");
  await window.command("Flowprobe: Compare Runs");
  await window.pickSeveral(
    ...runFiles(window.workspace).map((file) => basename(file, ".flow.jsonl")),
  );
  await panel.view("compare-answer").waitFor();
  await settle();
  await panel.frame.locator("#compare").screenshot({ path: join(folder, "view-compare.png") });

  await window.command("View: Close All Editors");
  await window.chooseFromMenu(window.file(CLIP), "Ask a Question About This Video");
  await window.answer(OPEN_QUESTION, "Question");
  await window.answer("", "Options");
  await window.answer("", "Right answer");
  await panel.waitForStatus("Finished in");
  await panel.lookAt("generation");
  await panel.choose("generation", "Cut", "question");
  await panel.choose("generation", "off", "last");
  await panel.view("generation").getByRole("button", { name: "Generate" }).click();
  await panel.view("generation").locator("article").nth(1).waitFor();
  await picture("generation");
} finally {
  await window.close();
}
console.log(`pictures are in ${folder}`);
