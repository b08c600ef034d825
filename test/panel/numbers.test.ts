import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { runEvent } from "../../src/protocol/events.ts";
import { change, percent } from "../../webview/dom.ts";
import { eventsOf, openRun, PanelBrowser, seen, settled, tableOf } from "./browser.ts";
import { syntheticRun } from "./synthetic-run.ts";

let browser: PanelBrowser;
before(async () => {
  browser = await PanelBrowser.start();
});
after(() => browser.stop());

const RUN = { layers: 12, lens: true, attention: true };
const events = syntheticRun(RUN);

test("the synthetic run is made of valid events", () => {
  for (const event of events) runEvent.parse(event);
});

test("the answer's table shows every option's probability at every layer, normed and raw", async () => {
  const page = await openRun(browser, RUN);
  for (const variant of ["normed", "raw"] as const) {
    await page.locator(`#view-answer vscode-radio[value="${variant}"]`).click();
    await settled(page);
    const [header, ...rows] = await tableOf(page, "answer");
    assert.deepEqual(header?.slice(0, 5), [
      "Layer",
      "(A) Up, true",
      "(B) Down",
      "(C) Left",
      "(D) Right",
    ]);
    const layers = eventsOf(events, "layer.clean");
    assert.equal(rows.length, layers.length);
    rows.forEach((row, i) => {
      const reading = layers[i]?.[variant];
      const wanted = ["A", "B", "C", "D"].map((label) => percent(reading?.options[label] ?? 0));
      assert.deepEqual(row.slice(0, 5), [String(i + 1), ...wanted]);
    });
  }
  await page.close();
});

test("the knockout's table shows each series' change for the clean and for the true answer", async () => {
  const page = await openRun(browser, { ...RUN, correct: false });
  const wrong = syntheticRun({ ...RUN, correct: false });
  const results = eventsOf(wrong, "branch.result");
  await page.locator("#view-knockout vscode-dropdown").click();
  await page.getByRole("option", { name: "Video and question to question and last" }).click();
  await settled(page);
  const series = ["Video -/-> Question", "Video -/-> Last", "Question -/-> Last", "Last -/-> Last"];
  for (const [subject, key] of [
    ["base", "relative_diff"],
    ["truth", "relative_diff_gt"],
  ] as const) {
    await page.locator(`#view-knockout vscode-radio[value="${subject}"]`).click();
    await settled(page);
    const [header, ...rows] = await tableOf(page, "knockout");
    assert.deepEqual(header?.slice(0, 5), ["Layer", ...series]);
    assert.equal(rows.length, 12);
    rows.forEach((row, layer) => {
      const wanted = series.map((name) => {
        const result = results.find((r) => r.series === name && r.layer === layer);
        return change(result?.[key] ?? Number.NaN);
      });
      assert.deepEqual(row.slice(1, 5), wanted, `layer ${layer + 1}`);
    });
  }
  await page.close();
});

test("the head shows model, question, answer, probability and the right answer of a wrong run", async () => {
  const page = await openRun(browser, { ...RUN, correct: false });
  const [answer] = eventsOf(syntheticRun({ ...RUN, correct: false }), "answer");
  const text = await seen(page.locator(".head"));
  assert.match(text, /flowprobe-embedded/);
  assert.match(text, /embedded model/);
  assert.match(text, /In which direction does the purple circle move\?/);
  assert.ok(text.includes(`(C) Left`));
  assert.ok(text.includes(percent(answer?.answer.probability ?? 0)));
  assert.ok(text.includes("✗ wrong"));
  assert.ok(
    text.includes(`the right answer is (A) Up, ${percent(answer?.groundTruth?.probability ?? 0)}`),
  );
  await page.close();
});

test("charts fill while layers arrive, and a live run ends as a replayed one", async () => {
  const live = await browser.open();
  const emit = (from: number, to: number) =>
    live.evaluate(
      ({ run, from, to }) => window.fakeHost.emit(window.fakeHost.synthetic(run).slice(from, to)),
      { run: RUN, from, to },
    );
  let done = 0;
  for (const layers of [1, 5, 12]) {
    const end = events.findIndex((e) => e.type === "layer.clean" && e.layer === layers - 1) + 1;
    await emit(done, end);
    done = end;
    await settled(live);
    const rows = await tableOf(live, "answer");
    assert.equal(rows.length - 1, layers, "rows after that many layers");
  }
  const middle = events.findIndex((e) => e.type === "branch.result" && e.layer === 4);
  await emit(done, middle);
  await settled(live);
  assert.equal((await tableOf(live, "knockout")).length - 1, 4, "rows of a half-done sweep");
  await emit(middle, events.length);
  await settled(live);
  const replayed = await openRun(browser, RUN);
  for (const view of ["answer", "knockout", "prompt", "video"]) {
    assert.deepEqual(await tableOf(live, view), await tableOf(replayed, view), view);
  }
  assert.equal(await seen(live.locator(".head")), await seen(replayed.locator(".head")));
  await live.close();
  await replayed.close();
});

test("a panel that missed messages asks for them and catches up without doubling any", async () => {
  const page = await browser.open();
  await page.evaluate((run) => {
    const host = window.fakeHost;
    const all = host.synthetic(run);
    host.emit(all.slice(0, 6));
    host.deaf = true;
    host.emit(all.slice(6, 30));
    host.deaf = false;
    host.emit(all.slice(30));
  }, RUN);
  await settled(page);
  await settled(page);
  const whole = await openRun(browser, RUN);
  for (const view of ["answer", "knockout"]) {
    assert.deepEqual(await tableOf(page, view), await tableOf(whole, view), view);
  }
  const syncs = await page.evaluate(
    () => window.fakeHost.requests.filter(({ name }) => name === "sync").length,
  );
  assert.ok(syncs >= 2, "it asked again after the gap");
  await page.close();
  await whole.close();
});

test("selection, switches and open tables survive a reload of the webview", async () => {
  const page = await openRun(browser, RUN);
  await page.locator('#view-answer vscode-radio[value="raw"]').click();
  const chart = page.locator("#view-answer canvas");
  await chart.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await tableOf(page, "answer");
  const kept = await page.evaluate(() => window.fakeHost.state);
  await page.reload();
  await page.evaluate((run) => window.fakeHost.emit(window.fakeHost.synthetic(run)), RUN);
  await settled(page);
  assert.deepEqual(await page.evaluate(() => window.fakeHost.state), kept);
  assert.match(await seen(page.locator(".layer-text")), /^3 \/ 12$/);
  const [, first] = await page
    .locator("#view-answer .table-twin tr")
    .evaluateAll((rows) => rows.map((row) => row.textContent ?? ""));
  const [layer] = eventsOf(events, "layer.clean");
  assert.ok(first?.includes(percent(layer?.raw.options.A ?? 0)), "the raw reading is shown");
  await page.close();
});

test("nothing of all this wrote an error to the console or broke the policy", () => {
  assert.deepEqual(browser.errors, []);
});
