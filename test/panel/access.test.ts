import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { percent } from "../../webview/dom.ts";
import { eventsOf, openRun, PanelBrowser, seen, settled, THEMES } from "./browser.ts";
import { syntheticRun } from "./synthetic-run.ts";

const RUN = { layers: 12, lens: true, attention: true };
/** Pictures for people to look at; not compared. */
const PICTURES = join(tmpdir(), "flowprobe-panel-pictures");

let browser: PanelBrowser;
before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  browser = await PanelBrowser.start();
});
after(() => browser.stop());

/** Brings every view into sight once, so that each has drawn itself. */
async function drawAll(page: Page): Promise<void> {
  for (const view of await page.locator(".view").all()) {
    await view.evaluate((node) => node.scrollIntoView());
    await settled(page);
  }
  await page.evaluate(() => window.scrollTo(0, 0));
}

test("the keyboard reaches every chart and moves over the layers of all views at once", async () => {
  const page = await openRun(browser, RUN);
  await drawAll(page);
  const layers = eventsOf(syntheticRun(RUN), "layer.clean");
  const chart = page.locator("#view-answer .plot canvas");
  await chart.focus();
  await page.keyboard.press("Home");
  for (let step = 0; step < 4; step += 1) await page.keyboard.press("ArrowRight");
  await settled(page);
  assert.equal(await chart.getAttribute("role"), "slider");
  assert.equal(await chart.getAttribute("aria-valuenow"), "5");
  const told = (await chart.getAttribute("aria-valuetext")) ?? "";
  assert.ok(told.startsWith("Layer 5: "));
  assert.ok(told.includes(`(B) Down ${percent(layers[4]?.normed.options.B ?? 0)}`));
  assert.match(await seen(page.locator(".layer-text")), /^5 \/ 12$/);
  assert.equal(
    await page.locator("#view-knockout .plot canvas").getAttribute("aria-valuenow"),
    "5",
  );
  assert.match(await seen(page.locator("#view-answer .tip")), /Layer 5[\s\S]*\(B\) Down/);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#view-answer .tip").isVisible(), false);
  await page.close();
});

test("the keyboard alone can walk from the head to the last view", async () => {
  const page = await openRun(browser, RUN);
  await drawAll(page);
  const reached = new Set<string>();
  let charts = 0;
  for (let press = 0; press < 160; press += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => ({
      view: document.activeElement?.closest(".view")?.id ?? "",
      canvas: document.activeElement?.tagName === "CANVAS",
      body: document.activeElement === document.body,
    }));
    if (at.body && press > 10) break;
    reached.add(at.view);
    if (at.canvas) charts += 1;
  }
  for (const view of ["video", "prompt", "answer", "knockout", "lens", "attention", "flow-map"]) {
    assert.ok(reached.has(`view-${view}`), view);
  }
  assert.ok(charts >= 8, `${charts} charts and strips are focus stops`);
  await page.close();
});

test("every control and every picture has a name for screen readers", async () => {
  const page = await openRun(browser, RUN);
  await drawAll(page);
  const nameless = await page.evaluate(() => {
    const list: string[] = [];
    const selector =
      "button, input, canvas, vscode-button, vscode-dropdown, vscode-radio, vscode-checkbox, vscode-text-field, [role=progressbar]";
    for (const node of document.querySelectorAll<HTMLElement>(selector)) {
      if (node.closest("[hidden], [aria-hidden=true]") !== null) continue;
      const name = node.getAttribute("aria-label") ?? node.textContent?.trim() ?? "";
      const labelled = node.closest("label")?.textContent ?? "";
      if (name === "" && labelled === "") list.push(node.outerHTML.slice(0, 120));
    }
    return list;
  });
  assert.deepEqual(nameless, []);
  await page.close();
});

for (const [name, size] of [
  ["narrow", { width: 300, height: 900 }],
  ["wide", { width: 1800, height: 1100 }],
  ["zoomed to 200 %", { width: 640, height: 480, scale: 2 }],
] as const) {
  test(`nothing is cut off or pushed aside when the panel is ${name}`, async () => {
    const page = await openRun(browser, RUN, size);
    await drawAll(page);
    const wide = await page.evaluate(() => {
      const limit = document.documentElement.clientWidth;
      const out: string[] = [];
      for (const node of document.querySelectorAll<HTMLElement>("#panel *")) {
        if (node.closest(".table-scroll, [hidden]") !== null) continue;
        const box = node.getBoundingClientRect();
        if (box.width > 0 && box.right > limit + 1) {
          out.push(
            `${node.tagName}.${node.className} ends at ${Math.round(box.right)} of ${limit}`,
          );
        }
      }
      return out;
    });
    assert.deepEqual(wide, []);
    await page.screenshot({
      path: join(PICTURES, `${name.replaceAll(/\W+/g, "-")}.png`),
      fullPage: true,
    });
    await page.close();
  });
}

/** WCAG contrast of two colours given as rgb() or #rrggbb. */
function contrast(a: string, b: string): number {
  const luminance = (color: string) => {
    const hex = /^#([0-9a-f]{6})/i.exec(color)?.[1];
    const channels =
      hex === undefined
        ? (color.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number)
        : [0, 2, 4].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
    const [r = 0, g = 0, blue = 0] = channels.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
  };
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

for (const theme of THEMES) {
  test(`lines and marks stand out from the background in ${theme}`, async () => {
    const page = await openRun(browser, RUN, {
      theme,
      width: 1280,
      height: 1000,
      video: "samples/moving-direction-1.mp4",
    });
    await drawAll(page);
    const colors = await page.evaluate(() => {
      const style = getComputedStyle(document.body);
      const list = ["right", "wrong", "loss", "gain", ...Array.from("12345678", (n) => `s${n}`)];
      return {
        background: style.getPropertyValue("--fp-background").trim(),
        list: list.map((name) => [name, style.getPropertyValue(`--fp-${name}`).trim()] as const),
      };
    });
    const least = theme.includes("contrast") ? 4.5 : 3;
    for (const [name, color] of colors.list) {
      const ratio = contrast(color, colors.background);
      assert.ok(ratio >= least, `${name} ${color} on ${colors.background}: ${ratio.toFixed(2)}`);
    }
    await page.screenshot({ path: join(PICTURES, `${theme}.png`), fullPage: true });
    await page.close();
  });
}

test("with reduced motion the clip does not start by itself and nothing moves", async () => {
  const video = "samples/moving-direction-1.mp4";
  const calm = await openRun(browser, RUN, { reducedMotion: true, video });
  await calm.waitForTimeout(700);
  assert.equal(await calm.locator("video").evaluate((node: HTMLVideoElement) => node.paused), true);
  assert.equal(await calm.evaluate(() => document.getAnimations().length), 0);
  await calm.close();
});

test("the clip plays muted; when it cannot, the sampled frames stand in for it", async () => {
  const page = await openRun(browser, RUN, { video: "samples/moving-direction-1.mp4" });
  await page.waitForFunction(() => (document.querySelector("video")?.currentTime ?? 0) > 0.1);
  assert.equal(await page.locator("video").evaluate((node: HTMLVideoElement) => node.muted), true);
  assert.equal(await page.locator(".timeline-marks button").count(), 8);
  await page.close();

  const broken = await openRun(browser, RUN, { video: "samples/moving-direction-1.vqa.yaml" });
  await broken.locator(".slide").waitFor();
  assert.match(await seen(broken.locator("#view-video .note")), /cannot play the clip/);
  await broken.getByRole("button", { name: "Play the clip" }).click();
  await broken.waitForFunction(
    () => !document.querySelector(".time")?.textContent?.startsWith("0.20"),
  );
  await broken.close();
});

test("no page wrote an error to the console", () => {
  assert.deepEqual(browser.errors, []);
});
