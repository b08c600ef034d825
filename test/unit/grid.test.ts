import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { tokenCells, tokenGrid } from "../../src/engine/families/spec.ts";
import { cellCount, cellOf, tokenOfCell } from "../../src/runs/grid.ts";
import { promptMap } from "../../webview/prompt-map.ts";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../parity/fixtures/${name}`, import.meta.url));

test("tokens that a model leaves column after column are told at the row and column they show", async () => {
  const spec = await readModelSpec(fixture("l-internvl-v1"));
  const extents = tokenGrid(spec, 2);
  assert.deepEqual(extents, { frames: 2, rows: 3, columns: 3 });
  const grid = { ...extents, cells: tokenCells(spec, extents) };
  assert.equal(cellCount(grid), 18);
  assert.deepEqual(cellOf(grid, 1), { frame: 0, row: 1, column: 0 });
  assert.deepEqual(cellOf(grid, 9 + 5), { frame: 1, row: 2, column: 1 });
  for (let cell = 0; cell < 18; cell++) {
    const { frame, row, column } = cellOf(grid, tokenOfCell(grid, cell));
    assert.equal((frame * 3 + row) * 3 + column, cell);
  }
});

test("the second pixel shuffle leaves tokens row after row, and says nothing of cells", async () => {
  const spec = await readModelSpec(fixture("l-mini-internvl"));
  assert.equal(tokenCells(spec, tokenGrid(spec, 2)), undefined);
});

test("a prompt's map shows each video token in its cell, and none where cells lie outside the grid", () => {
  const tokens = (cells: number[]) => ({
    length: 6,
    text: [],
    groups: [{ name: "video", spans: [[1, 5] as [number, number]] }],
    grid: { frames: 1, rows: 2, columns: 2, cells },
  });
  const map = promptMap(tokens([0, 2, 1, 3]));
  assert.deepEqual(map.cellAt(2), { frame: 0, row: 1, column: 0 });
  assert.deepEqual(map.cellAt(3), { frame: 0, row: 0, column: 1 });
  assert.equal(promptMap(tokens([0, 2, 1, 4])).cellAt(2), undefined);
});
