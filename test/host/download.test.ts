import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { HubFixture, MODEL } from "../support/hub-fixture.ts";
import { buildExtension } from "./support/build.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

/** VS Code shows three notifications within 0.8 s as toasts, and keeps a fourth behind its bell. */
const TOASTS_PAUSE_MS = 1_000;

let hub: HubFixture;
let window: VSCodeWindow;
before(async () => {
  buildExtension();
  hub = await HubFixture.start();
  window = await VSCodeWindow.open(makeWorkspace(), {
    environment: { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cache, HF_HUB_OFFLINE: "" },
  });
});
after(async () => {
  await window?.close();
  await hub?.stop();
});

test("Download Model… searches, shows size and licence before anything is kept, and downloads what is confirmed", async () => {
  await window.command("Flowprobe: Download Model…");
  await window.quickInput.fill("tiny");
  // The rows of the first, empty search go when those of the typed one come.
  await eventually("the search for what was typed", () =>
    hub.server.seen.some(({ path }) => path.includes("search=tiny")) ? true : undefined,
  );
  await window.page.waitForTimeout(1_000);
  await window.page.locator(".quick-input-list-row", { hasText: "licence apache-2.0" }).waitFor();
  await window.pick(MODEL);
  const asked = window.page.locator(".quick-input-list .monaco-list-row", { hasText: "Download" });
  await window.page.locator(".quick-input-title", { hasText: `download ${MODEL}?` }).waitFor();
  const text = ((await asked.first().textContent()) ?? "").replace(/\s+/g, " ");
  assert.match(text, /Download ?\d.* KB.*licence apache-2\.0/);
  assert.deepEqual(hub.files(), [], "nothing is kept before it is confirmed");
  await asked.first().click();
  await window.notification("has been downloaded").waitFor();
  const folder = join("snapshots", hub.server.commit(MODEL));
  assert.ok(hub.files(folder).includes("model-00003-of-00003.safetensors"));
  const ref = join(hub.cache, "models--lab--Tiny-Video", "refs", "main");
  assert.equal(readFileSync(ref, "utf8"), hub.server.commit(MODEL));
});

test("a model that is in the cache is offered instead of being downloaded again", async () => {
  hub.server.seen.length = 0;
  await window.page.waitForTimeout(TOASTS_PAUSE_MS);
  await window.command("Flowprobe: Download Model…");
  await window.page.locator(".quick-input-list-row", { hasText: "in the cache" }).waitFor();
  await window.pick(MODEL);
  await window.notification("is in the Hugging Face cache").waitFor();
  assert.ok(!hub.server.seen.some(({ path }) => path.includes("/resolve/")));
});
