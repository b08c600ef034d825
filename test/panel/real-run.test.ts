import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { RunEvent } from "../../src/protocol/events.ts";
import { decodeEvent } from "../../src/runs/codec.ts";
import { change, percent, visibleToken } from "../../webview/dom.ts";
import { eventsOf, PanelBrowser, ROOT, seen, settled, tableOf } from "./browser.ts";

/** Runs of the embedded model on samples, recorded by the command line, shown and compared. */
const folder = mkdtempSync(join(tmpdir(), "flowprobe-real-run-"));

let browser: PanelBrowser;
before(async () => {
  browser = await PanelBrowser.start();
});
after(async () => {
  await browser.stop();
  rmSync(folder, { recursive: true });
});

function record(name: string, ...args: string[]): RunEvent[] {
  const file = join(folder, `${name}.flow.jsonl`);
  execFileSync(process.execPath, ["scripts/flowprobe.mjs", ...args, "--out", file], {
    cwd: ROOT,
    // The user's own cache is left alone.
    env: { ...process.env, FLOWPROBE_CACHE: "off" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const decoded = decodeEvent(line);
      if (decoded.kind !== "event") throw new Error(decoded.message);
      return decoded.event;
    });
}

async function shown(events: readonly RunEvent[]): Promise<Page> {
  const page = await browser.open({ video: "samples/moving-direction-1.mp4" });
  await page.evaluate((list) => window.fakeHost.emit(list), events);
  await settled(page);
  return page;
}

test("a recorded analysis with lens shows its own numbers", async () => {
  const events = record("lens", "analyze", "samples/moving-direction-1.mp4", "--lens");
  const page = await shown(events);
  const layers = eventsOf(events, "layer.clean");
  const [started] = eventsOf(events, "run.started");
  const options = started?.prompt.options ?? [];
  assert.ok(layers.length > 4 && options.length > 1);
  const rows = (await tableOf(page, "answer")).slice(1);
  assert.equal(rows.length, layers.length);
  rows.forEach((row, layer) => {
    const wanted = options.map(({ label }) => percent(layers[layer]?.normed.options[label] ?? 0));
    assert.deepEqual(row.slice(1, 1 + options.length), wanted, `layer ${layer + 1}`);
  });
  const lens = layers.at(-1)?.lens;
  const texts = new Map(
    eventsOf(events, "vocabulary").flatMap(({ tokens }) => tokens.map((t) => [t.id, t.text])),
  );
  const words = (await tableOf(page, "lens")).slice(1);
  assert.equal(words.length, lens?.ids.shape[0]);
  const k = lens?.ids.shape[1] ?? 1;
  words.forEach((row, token) => {
    const text = texts.get(lens?.ids.data[token * k] ?? -1);
    assert.equal(row[4], text?.trim(), `video token ${token}`);
  });
  const [answer] = eventsOf(events, "answer");
  assert.ok((await seen(page.locator(".head"))).includes(percent(answer?.answer.probability ?? 0)));
  await page.close();
});

test("a recorded sweep over all targets shows every series of each", async () => {
  const events = record("sweep", "knockout", "samples/moving-direction-2.mp4", "--target", "all");
  const page = await shown(events);
  const results = eventsOf(events, "branch.result");
  const targets = [...new Set(results.map(({ detail }) => String(detail?.target)))];
  assert.equal(targets.length, 4);
  const chooser = page.locator("#view-knockout vscode-dropdown");
  for (const [index, target] of targets.entries()) {
    await chooser.click();
    await page.locator("#view-knockout vscode-option").nth(index).click();
    await settled(page);
    const [header, ...rows] = await tableOf(page, "knockout");
    const series = [
      ...new Set(results.filter((r) => r.detail?.target === target).map((r) => r.series)),
    ];
    assert.deepEqual(header?.slice(1, 1 + series.length), series, target);
    rows.forEach((row, layer) => {
      series.forEach((name, i) => {
        const result = results.find((r) => r.series === name && r.layer === layer);
        assert.equal(row[1 + i], change(result?.relative_diff ?? Number.NaN), `${name} ${layer}`);
        const answerCell = row[1 + series.length + 2 * i + 1];
        assert.equal(answerCell, visibleToken(result?.new_answer ?? ""));
      });
    });
  }
  await page.close();
});

test("showing real runs wrote no error to the console", () => {
  assert.deepEqual(browser.errors, []);
});
