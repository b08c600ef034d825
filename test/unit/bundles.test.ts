import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { NODE_BUNDLE } from "../../esbuild.mjs";
import { ROOT } from "../support/bundle.ts";

/** Files that a bundle is made of, by their paths. */
async function partsOf(entry: string): Promise<string[]> {
  const { metafile } = await build({
    ...NODE_BUNDLE,
    absWorkingDir: ROOT,
    entryPoints: { bundle: entry },
    write: false,
    metafile: true,
  });
  return Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? [path] : [],
    ),
  );
}

test("the engine's program, which a first analysis waits for, holds no schemas", async () => {
  const parts = await partsOf("src/engine/service/main.ts");
  assert.ok(parts.includes("src/engine/engine.ts"));
  assert.deepEqual(
    parts.filter((path) => /node_modules\/(zod|yaml|@huggingface\/hub)\//.test(path)),
    [],
  );
});

test("the extension holds the schema library's messages in one language only", async () => {
  const parts = await partsOf("src/host/extension.ts");
  const languages = parts.filter((path) => path.includes("zod/v4/locales/"));
  assert.deepEqual(
    languages.map((path) => path.split("/").at(-1)),
    ["en.js"],
  );
});

test("the extension holds no reader of foreign files; its reader processes do", async () => {
  const readers = [
    "src/common/config-reader.ts",
    "src/engine/families/registry.ts",
    "src/engine/checkpoint/safetensors.ts",
    "src/hub/client.ts",
    "src/hub/plan.ts",
    "src/hub/cache.ts",
    "src/prompts/parse.ts",
    "src/host/models/catalog.ts",
    "src/host/runs/summary.ts",
  ];
  const foreign = /^src\/(engine\/(families|checkpoint)|video|tokenizer)\/|^src\/common\/config/;
  const extension = await partsOf("src/host/extension.ts");
  assert.deepEqual(
    extension.filter((path) => readers.includes(path) || foreign.test(path)),
    [],
  );
  const reader = await partsOf("src/host/reader/main.ts");
  for (const path of readers) assert.ok(reader.includes(path), path);
});
