import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ModelError } from "../../src/common/errors.ts";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { OpenModel } from "../../src/engine/runtime/model.ts";
import { runPass } from "../../src/engine/trace/pass.ts";
import { unembed } from "../../src/engine/trace/unembed.ts";
import { editConfig, withSection } from "../support/checkpoint-edits.ts";

/** A line of config-changes.jsonl (config_changes.py). */
interface Change {
  readonly case: string;
  /** Empty: the root. */
  readonly section: string;
  readonly key: string;
  /** Absent: the key is taken out. */
  readonly value?: unknown;
  /** Probabilities of the first tokens; null where transformers refuses, or lacks weights. */
  readonly expected: readonly number[] | null;
}

const FIXTURES = join(import.meta.dirname, "fixtures");
const IDS = Array.from({ length: 100 }, (_, i) => ((i + 10) % 60) + 20);
const TOLERANCE = 1e-5;

const changes = readFileSync(join(import.meta.dirname, "config-changes.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line): Change => JSON.parse(line));

/** The product's probabilities; undefined where it refuses. */
async function found(folder: string, count: number): Promise<readonly number[] | undefined> {
  let model: OpenModel;
  try {
    const settings = { provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 } as const;
    model = await OpenModel.open(await readModelSpec(folder), settings);
  } catch (error) {
    assert.ok(error instanceof ModelError, String(error));
    return undefined;
  }
  const { decoder } = model.spec;
  const numbers = IDS.map((_, i) => i);
  const positions = decoder.rope.axes === undefined ? undefined : [numbers, numbers, numbers];
  let last = new Float32Array();
  await runPass(
    model,
    await model.embed(IDS),
    [],
    { positions, maxRows: 1 << 20 },
    async (state) => {
      last = state.hidden.slice((IDS.length - 1) * decoder.hiddenSize);
    },
  );
  const chosen = Int32Array.from({ length: count }, (_, id) => id);
  const read = await unembed(model, last, [true], { k: 1, chosen });
  await model.release();
  return [...read.chosen];
}

for (const name of new Set(changes.map((change) => change.case))) {
  test(`${name}: changed settings count as in transformers`, async (t) => {
    const root = mkdtempSync(join(tmpdir(), "flowprobe-changes-"));
    t.after(() => rmSync(root, { recursive: true }));
    for (const [i, change] of changes.filter((one) => one.case === name).entries()) {
      const { section, key, value, expected } = change;
      const folder = join(root, String(i));
      cpSync(join(FIXTURES, name), folder, { recursive: true });
      editConfig(folder, (config) =>
        section === ""
          ? { ...config, [key]: value }
          : withSection(config, section, { [key]: value }),
      );
      const what = `${section} ${key} ${JSON.stringify(value)}`;
      const probabilities = await found(folder, expected?.length ?? 8);
      if (expected === null) continue;
      assert.ok(probabilities !== undefined, `${what} is refused`);
      probabilities.forEach((probability, j) => {
        const error = Math.abs(probability - (expected[j] ?? 0));
        assert.ok(error < TOLERANCE, `${what}: ${probability} for ${expected[j]}`);
      });
    }
  });
}
