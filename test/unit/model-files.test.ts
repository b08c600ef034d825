import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { inspectModel, readModelFiles } from "../../src/engine/model-files.ts";
import { editConfig } from "../support/checkpoint-edits.ts";

const WHOLE = join(import.meta.dirname, "..", "parity", "fixtures", "h-next-video");
const root = mkdtempSync(join(tmpdir(), "flowprobe-files-"));
const folder = join(root, "model");
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  cpSync(WHOLE, folder, { recursive: true });
});
after(() => rmSync(root, { recursive: true }));

const remove = (...names: string[]) => {
  for (const name of names) rmSync(join(folder, name));
};
const partsOf = async (borrowed = {}) =>
  (await inspectModel(folder, borrowed)).missing.map(({ part }) => part);

test("a whole checkpoint lacks nothing", async () => {
  assert.deepEqual(await partsOf(), []);
});

test("every missing part is named, with what would help", async () => {
  remove("tokenizer.json", "preprocessor_config.json");
  const { missing } = await inspectModel(folder);
  assert.deepEqual(
    missing.map(({ part }) => part),
    ["tokenizer", "processor"],
  );
  assert.match(missing[0]?.why ?? "", /tokenizer\.json/);
  assert.match(missing[0]?.help ?? "", /--tokenizer DIR/);
  assert.match(missing[1]?.help ?? "", /--processor DIR/);
});

test("a family asked by its chat template needs one", async () => {
  remove("chat_template.jinja");
  const { missing } = await inspectModel(folder);
  assert.deepEqual([missing.length, missing[0]?.part], [1, "prompt"]);
  assert.match(missing[0]?.why ?? "", /chat template/);
});

test("a chat template that cannot be rendered is told", async () => {
  writeFileSync(join(folder, "chat_template.jinja"), "{% for %}");
  assert.deepEqual(await partsOf(), ["prompt"]);
});

test("a sibling's files stand in for what is missing", async () => {
  remove("tokenizer.json", "preprocessor_config.json", "chat_template.jinja");
  assert.deepEqual(await partsOf({ processor: WHOLE }), ["tokenizer"]);
  const borrowed = { tokenizer: WHOLE, processor: WHOLE };
  assert.deepEqual(await partsOf(borrowed), []);
  const own = await readModelFiles(WHOLE);
  const found = await readModelFiles(folder, borrowed);
  assert.equal(found.chatTemplate, own.chatTemplate);
  assert.deepEqual(found.images, own.images);
  assert.equal(found.spec.root, folder);
});

test("a tokenizer of another model is told by its tokens", async () => {
  const other = join(WHOLE, "..", "m-qwen2-vl");
  const { missing } = await inspectModel(folder, { tokenizer: other });
  assert.deepEqual(
    missing.map(({ part }) => part),
    ["prompt"],
  );
});

test("a video token that the tokenizer has not is told", async () => {
  editConfig(folder, (config) => ({ ...config, video_token_index: 3_000 }));
  assert.deepEqual(await partsOf(), ["prompt"]);
});
