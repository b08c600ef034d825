import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { mropePositions } from "../../src/engine/positions/mrope.ts";
import { editConfig, withSection } from "../support/checkpoint-edits.ts";
import { assertRefused } from "../support/refused.ts";

const FIXTURE = join(import.meta.dirname, "..", "parity", "fixtures", "m-qwen2-vl");
const root = mkdtempSync(join(tmpdir(), "flowprobe-qwen2-vl-"));
const folder = join(root, "model");
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  cpSync(FIXTURE, folder, { recursive: true });
});
after(() => rmSync(root, { recursive: true }));

test("settings of the tower that cannot be used are refused", async () => {
  const vision = (keys: Record<string, unknown>) =>
    editConfig(folder, (config) => withSection(config, "vision_config", keys));
  vision({ model_type: "qwen2_5_vl" });
  await assertRefused(folder, "vision_config.model_type", "qwen2_5_vl");
  vision({ model_type: undefined, hidden_size: 64 });
  await assertRefused(folder, "vision_config.hidden_size", "is 64", "48 wide");
  vision({ hidden_size: 48, mlp_ratio: 1e9 });
  await assertRefused(folder, "vision_config.mlp_ratio");
});

test("time steps count by one, however long they are", () => {
  const grid = { frames: 3, rows: 1, columns: 2 };
  const placed = { length: 8, video: [1, 2, 3, 4, 5, 6], grid, secondsPerStep: 40 };
  const [times] = mropePositions({}, placed);
  assert.deepEqual([...Array.from(times ?? [])], [0, 1, 1, 2, 2, 3, 3, 3]);
});
