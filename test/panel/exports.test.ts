import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { standaloneHtml } from "../../src/host/panel/standalone.ts";
import { bundle, eventsOf, openRun, PanelBrowser, settled, tableOf } from "./browser.ts";
import { syntheticRun } from "./synthetic-run.ts";

const RUN = { layers: 12, lens: true, attention: true };
const events = syntheticRun(RUN);

let browser: PanelBrowser;
let page: Page;
before(async () => {
  browser = await PanelBrowser.start();
  page = await openRun(browser, RUN, { height: 1200 });
});
after(() => browser.stop());

/** Presses a view's save button and returns what the host was given. */
async function saved(view: string, format: string): Promise<{ name: string; data: string } | null> {
  await page.evaluate(() => {
    window.fakeHost.saved = null;
  });
  await page
    .locator(`#view-${view} .tools vscode-button`, { hasText: format.toUpperCase() })
    .click();
  await page.waitForFunction(
    () =>
      window.fakeHost.saved !== null ||
      document.querySelector(".said")?.textContent?.includes("nothing to save"),
  );
  return await page.evaluate(() => {
    const { saved } = window.fakeHost;
    if (saved === null) return null;
    if (typeof saved.data === "string") return { name: saved.name, data: saved.data };
    const bytes = new Uint8Array(saved.data);
    return { name: saved.name, data: String.fromCharCode(...bytes.subarray(0, 33)) };
  });
}

test("a chart's CSV holds the run's numbers at full precision", async () => {
  const file = await saved("answer", "csv");
  assert.equal(file?.name, "synthetic-answer.csv");
  const lines = file?.data.trimEnd().split("\r\n") ?? [];
  assert.equal(lines[0], 'Layer,"(A) Up, true",(B) Down,(C) Left,(D) Right,likeliest tokens');
  eventsOf(events, "layer.clean").forEach(({ normed }, layer) => {
    const numbers = lines[layer + 1]?.split(",").slice(1, 5).map(Number) ?? [];
    [..."ABCD"].forEach((label, i) => {
      // The browser made these numbers itself: its exp differs from Node's in the last bits.
      const wanted = normed.options[label] ?? 0;
      assert.ok(Math.abs((numbers[i] ?? 0) - wanted) <= 1e-14, `layer ${layer + 1}, ${label}`);
    });
  });
});

test("CSV fields that a spreadsheet would run as formulas are defused", async () => {
  const hostile = await openRun(browser, { poison: '=cmd|"/c calc"!A1' });
  await hostile.locator("#view-prompt .tools vscode-button", { hasText: "CSV" }).click();
  await hostile.waitForFunction(() => window.fakeHost.saved !== null);
  const text = await hostile.evaluate(() => String(window.fakeHost.saved?.data));
  assert.doesNotMatch(text, /(^|,)"?[=+@]/m);
  await hostile.close();
});

test("every view with a picture gives a well-formed SVG with real geometry, and a PNG", async () => {
  await page.evaluate(() =>
    window.fakeHost.receive({
      kind: "request",
      id: 9001,
      name: "experiment",
      params: {
        request: { kind: "what-if", name: "a cut", from: [60], to: [173], layers: [3, 9] },
      },
    }),
  );
  await page.evaluate(() =>
    window.fakeHost.receive({
      kind: "request",
      id: 9002,
      name: "experiment",
      params: {
        request: { kind: "pathways", crossFrame: [2, 8], videoToQuestion: [2, 9], randomSeed: 1 },
      },
    }),
  );
  for (const [view, shape, least] of [
    ["video", "image", 8],
    ["answer", "polyline", 4],
    ["knockout", "polyline", 1],
    ["lens", "rect", 128],
    ["attention", "rect", 128],
    ["flow-map", "path", 2],
    ["pathways", "circle", 1],
    ["what-if", "rect", 8],
  ] as const) {
    await page.locator(`#view-${view}`).scrollIntoViewIfNeeded();
    await settled(page);
    const svg = await saved(view, "svg");
    assert.equal(svg?.name, `synthetic-${view}.svg`);
    const found = await page.evaluate(
      ({ text, shape }) => {
        const document = new DOMParser().parseFromString(text, "image/svg+xml");
        return {
          error: document.querySelector("parsererror")?.textContent ?? null,
          shapes: document.querySelectorAll(shape).length,
          scripts: document.querySelectorAll("script, foreignObject").length,
        };
      },
      { text: svg?.data ?? "", shape },
    );
    assert.equal(found.error, null, view);
    assert.equal(found.scripts, 0);
    assert.ok(found.shapes >= least, `${view}: ${found.shapes} x ${shape}`);
    assert.doesNotMatch(svg?.data ?? "", /NaN|undefined|Infinity/, view);
    const png = await saved(view, "png");
    assert.equal(png?.data.slice(1, 4), "PNG", view);
    const size = [...(png?.data ?? "")].slice(16, 24).map((c) => c.charCodeAt(0));
    assert.ok((size[2] ?? 0) * 256 + (size[3] ?? 0) > 400, `${view}: a picture of some width`);
  }
});

test("the answer's SVG puts its points where its numbers are", async () => {
  const svg = await saved("answer", "svg");
  const lines = [...(svg?.data.matchAll(/<polyline points="([^"]+)"[^>]*stroke-width="3"/g) ?? [])];
  const points = lines
    .map((match) => (match[1] ?? "").split(" ").map((pair) => pair.split(",").map(Number)))
    .find((list) => list.length === 12);
  assert.ok(points !== undefined, "the true option's line");
  const values = eventsOf(events, "layer.clean").map(({ normed }) => normed.options.A ?? 0);
  const [y0, y1] = [points[0]?.[1] ?? 0, points[11]?.[1] ?? 0];
  const scale = (y1 - y0) / ((values[11] ?? 0) - (values[0] ?? 0));
  points.forEach(([, y = 0], layer) => {
    const wanted = y0 + scale * ((values[layer] ?? 0) - (values[0] ?? 0));
    assert.ok(Math.abs(y - wanted) < 0.1, `layer ${layer + 1}`);
  });
});

test("one exported HTML file shows the whole panel without an editor or a network", async () => {
  const { script, style } = await bundle();
  const poisoned = syntheticRun({ ...RUN, poison: "</script><script>window.poisoned=1</script>" });
  for (const [path, run] of [
    ["/export.html", events],
    ["/poisoned.html", poisoned],
  ] as const) {
    browser.pages.set(
      path,
      standaloneHtml({ title: "A run </title>", script, style, events: run }),
    );
  }
  const exported = await browser.open({ unthemed: true }, "/export.html");
  const requests: string[] = [];
  exported.on("request", (request) => requests.push(request.url()));
  await exported.locator("#view-answer .legend li").first().waitFor();
  for (const view of ["answer", "knockout", "lens", "attention", "flow-map", "prompt"]) {
    assert.deepEqual(await tableInExport(exported, view), await tableOf(page, view), view);
  }
  assert.deepEqual(
    requests.filter((url) => !url.startsWith("blob:") && !url.startsWith("data:")),
    [],
  );
  const [download] = await Promise.all([
    exported.waitForEvent("download"),
    exported.locator("#view-answer .tools vscode-button", { hasText: "SVG" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "A run </title>-answer.svg".replaceAll(/[<>/]/g, "_"));
  await exported.close();

  const safe = await browser.open({ unthemed: true }, "/poisoned.html");
  await safe.locator("#view-answer .legend li").first().waitFor();
  assert.equal(await safe.evaluate(() => "poisoned" in window), false);
  await safe.close();
});

test("an exported page's policy lets only its own script run", async () => {
  const { script, style } = await bundle();
  const html = standaloneHtml({ title: "A run", script, style, events });
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? "";
  assert.match(policy, /script-src 'sha256-[^']{44}';/);
  assert.doesNotMatch(policy, /nonce|unsafe/);
  // What a hole in the page could bring in, with whatever the policy of an export states.
  const added = "<script>window.added = 1</script><style>body { --added: 1 }</style>";
  browser.pages.set("/added.html", html.replace("</body>", `${added}</body>`));
  const exported = await browser.open({ unthemed: true }, "/added.html");
  await exported.locator("#view-answer .legend li").first().waitFor();
  assert.equal(await exported.evaluate(() => "added" in window), false);
  const value = await exported.evaluate(() =>
    getComputedStyle(document.body).getPropertyValue("--added"),
  );
  assert.equal(value, "");
  await exported.close();
  // The browser says that it kept both out; nothing else was.
  const refused = browser.errors.splice(0);
  assert.equal(refused.length, 2);
  for (const message of refused) assert.match(message, /Content Security Policy/);
});

/** As `tableOf`, in a page without the fake host. */
async function tableInExport(exported: Page, view: string): Promise<string[][]> {
  await exported.locator(`#view-${view}`).scrollIntoViewIfNeeded();
  await exported.locator(`#view-${view} .tools vscode-button`).first().click();
  const rows = exported.locator(`#view-${view} .table-twin tr`);
  await rows.first().waitFor();
  return await rows.evaluateAll((list) =>
    list.map((row) => [...row.children].map((cell) => cell.textContent ?? "")),
  );
}

test("exporting wrote no error to the console", () => {
  assert.deepEqual(browser.errors, []);
});
