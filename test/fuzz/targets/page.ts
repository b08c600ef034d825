import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRunFile } from "../../../src/runs/file.ts";
import { PanelBrowser, settled } from "../../panel/browser.ts";
import type { Target } from "../target.ts";
import { changedRun, RUNS } from "./runs.ts";

/** A page that does not answer for so long hangs. */
const ANSWERS_MS = 30_000;

let browser: Promise<PanelBrowser> | undefined;

export const PAGE_TARGETS: readonly Target[] = [
  {
    name: "page",
    shortRuns: 5,
    bases: RUNS.length,
    run: async (input) => {
      const path = join(tmpdir(), "changed.flow.jsonl");
      writeFileSync(path, changedRun(input));
      const { events } = await readRunFile(path);
      browser ??= PanelBrowser.start();
      const page = await (await browser).open();
      page.setDefaultTimeout(ANSWERS_MS);
      try {
        await page.evaluate((list) => window.fakeHost.emit(list), events);
        await settled(page);
        // Out of sight a view does not draw.
        const views = await page.locator(".view:visible").count();
        for (let i = 0; i < views; i++) {
          await page.locator(".view:visible").nth(i).scrollIntoViewIfNeeded();
          await settled(page);
        }
        const errors = (await browser).errors.splice(0);
        if (errors.length > 0) throw new Error(`the page says: ${errors.join("; ")}`);
      } finally {
        await page.close();
      }
    },
    show: (input) => changedRun(input).toString("utf8").slice(0, 2_000),
    close: async () => (await browser)?.stop(),
  },
];
