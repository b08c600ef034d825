import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { CHROMIUM_ARGUMENTS, chromiumPath } from "../../scripts/chromium.ts";
import { startCodeServer } from "../../scripts/code-server.ts";
import { type InsideResult, RESULTS_VARIABLE } from "./inside/harness.ts";
import { buildExtension } from "./support/build.ts";
import { bundleInsideTests } from "./support/inside.ts";
import { eventually, makeWorkspace } from "./support/window.ts";

/** The whole module: generous, as a window may need a minute to start on a busy machine. */
const PATIENCE_MS = 600_000;

test("inside VS Code's extension host", async (context) => {
  buildExtension();
  const folder = mkdtempSync(join(tmpdir(), "flowprobe-results-"));
  const results = join(folder, "results.json");
  const workspace = makeWorkspace();
  const server = await startCodeServer({
    workspace,
    extension: "repository",
    tests: await bundleInsideTests(),
    environment: { [RESULTS_VARIABLE]: results },
  });
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: [...CHROMIUM_ARGUMENTS],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    page.on("console", (message) => {
      if (/cancelled after/.test(message.text())) context.diagnostic(message.text());
    });
    await page.goto(server.url);
    const found = await eventually(
      "the results from inside VS Code",
      () => {
        if (!existsSync(results)) return undefined;
        const text = readFileSync(results, "utf8");
        return text.endsWith("]") ? (JSON.parse(text) as InsideResult[]) : undefined;
      },
      PATIENCE_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${server.log()}`);
    });
    assert.ok(found.length > 10);
    for (const { name, error, seconds } of found) {
      await context.test(name, (each) => {
        each.diagnostic(`${seconds.toFixed(1)} s inside VS Code`);
        if (error !== undefined) throw new Error(error);
      });
    }
  } finally {
    await browser.close();
    await server.stop();
    for (const path of [folder, workspace]) rmSync(path, { recursive: true, force: true });
  }
});
