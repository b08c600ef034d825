import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openRun, PanelBrowser, seen, settled, THEMES, tableOf } from "./browser.ts";

let browser: PanelBrowser;
before(async () => {
  browser = await PanelBrowser.start();
});
after(() => browser.stop());

const POISON =
  '<img src=x onerror="window.poisoned=1"></script><script>window.poisoned=1</script>\u202e\u0000"\'`';

test("token text, names and notices from a hostile run never become markup", async () => {
  const page = await openRun(browser, { poison: POISON, lens: true, attention: true });
  const views = await page
    .locator(".view:visible")
    .evaluateAll((nodes) => nodes.map((node) => node.id.replace("view-", "")));
  assert.ok(views.length >= 4);
  for (const view of views) await tableOf(page, view);
  await page.locator("#view-answer canvas").hover();
  await settled(page);
  assert.equal(await page.evaluate(() => "poisoned" in window), false);
  assert.equal(await page.locator("img, iframe, object, embed").count(), 0);
  assert.equal(await page.locator("script").count(), 1, "only the panel's own script");
  assert.ok((await seen(page.locator(".tokens"))).includes("onerror"), "it is shown as text");
  await page.close();
});

test("a failing request is told and leaves nothing waiting", async () => {
  const page = await openRun(browser, {});
  await page.evaluate(() => {
    window.fakeHost.failing.set("save", "the disk is full");
    window.fakeHost.failing.set("cancel", "nothing is running");
    window.fakeHost.post({
      kind: "engine",
      run: window.fakeHost.identity.id,
      state: { kind: "running" },
    });
  });
  await settled(page);
  await page.getByRole("button", { name: "Answer by layer: save as CSV" }).click();
  await settled(page);
  assert.match(await seen(page.locator(".said")), /the disk is full/);
  await page.getByRole("button", { name: "Cancel the analysis" }).click();
  await settled(page);
  assert.match(await seen(page.locator(".said")), /nothing is running/);
  assert.ok(await page.getByRole("button", { name: "Cancel the analysis" }).isVisible());
  await page.close();
});

test("progress, queue, cancelling, an engine that died and a failed run each say so", async () => {
  const page = await openRun(browser, {});
  const status = page.locator(".status");
  const state = (value: unknown) =>
    page.evaluate(
      (engine) =>
        window.fakeHost.post({
          kind: "engine",
          run: window.fakeHost.identity.id,
          state: engine as never,
        }),
      value,
    );
  await state({ kind: "queued", ahead: 2 });
  await settled(page);
  assert.match(await seen(status), /Waiting for 2 runs/);
  await state({ kind: "running" });
  await page.evaluate(() =>
    window.fakeHost.progress({
      type: "progress",
      phase: "decoder",
      done: 3,
      total: 12,
      secondsLeft: 4,
    }),
  );
  await settled(page);
  assert.match(await seen(status), /Clean pass 3\/12, about 4.0 s left/);
  await page.evaluate(() =>
    window.fakeHost.progress({ type: "progress", phase: "decoder", done: 1 / 12, total: 1 }),
  );
  await settled(page);
  assert.equal((await seen(status)).includes("Clean pass 8 %"), true);
  await page.evaluate(() =>
    window.fakeHost.progress({ type: "progress", phase: "decoder", done: 3, total: 12 }),
  );
  await settled(page);
  const bar = page.getByRole("progressbar", { name: "Progress of the analysis" });
  assert.equal(await bar.getAttribute("aria-valuenow"), "25");
  await page.getByRole("button", { name: "Cancel the analysis" }).click();
  await settled(page);
  assert.match(await seen(status), /Cancelling/);
  await state({ kind: "died", message: "out of memory" });
  await settled(page);
  assert.match(await seen(status), /The engine stopped: out of memory/);
  await page.getByRole("button", { name: "Restart the engine" }).click();
  await page.getByRole("button", { name: "Show the engine's log" }).click();
  const names = await page.evaluate(() => window.fakeHost.requests.map(({ name }) => name));
  for (const name of ["cancel", "restartEngine", "showLog"])
    assert.ok(names.includes(name as never));
  await state({ kind: "idle" });
  await page.evaluate(() =>
    window.fakeHost.emit([
      { type: "run.finished", status: "failed", message: "no such option", seconds: 1 },
    ]),
  );
  await settled(page);
  assert.match(await seen(status), /Failed: no such option/);
  await page.close();
});

test("malformed grids, spans and layers out of range leave a panel that still works", async () => {
  const page = await browser.open();
  await page.evaluate(() => {
    const events = window.fakeHost.synthetic({ layers: 4 });
    for (const event of events) {
      if (event.type === "run.started") {
        event.model.layers = 100_000_000;
        event.tokens.grid.frames = 999;
        event.tokens.groups.push({ name: "video", spans: [[0, 4_000_000_000]] });
      }
      if (event.type === "layer.clean") event.layer *= 1_000_000;
    }
    window.fakeHost.emit(events);
  });
  await settled(page);
  assert.match(await seen(page.locator(".head")), /flowprobe-embedded/);
  assert.ok((await tableOf(page, "answer")).length > 1);
  await page.close();
});

test("no theme makes the policy complain, and no console error was written", async () => {
  for (const theme of THEMES) {
    const page = await openRun(browser, {}, { theme });
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await settled(page);
    assert.deepEqual(await page.evaluate(() => window.fakeHost.violations), [], theme);
    await page.close();
  }
  assert.deepEqual(browser.errors, []);
});
