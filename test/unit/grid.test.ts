import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { tokenCells, tokenGrid } from "../../src/engine/families/shared/spec.ts";
import {
  cellCount,
  cellOf,
  gridInWords,
  tokenAfter,
  tokenOfCell,
} from "../../src/protocol/grid.ts";
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

/** Two frames of 2 x 3, of whose second one only two cells have a token. */
const PARTLY = { frames: 2, rows: 2, columns: 3, cells: [0, 1, 2, 3, 4, 5, 7, 11] };

test("cells that a model left out have no token, and the others keep their place", () => {
  assert.equal(cellCount(PARTLY), 8);
  assert.deepEqual(cellOf(PARTLY, 6), { frame: 1, row: 0, column: 1 });
  assert.deepEqual(cellOf(PARTLY, 7), { frame: 1, row: 1, column: 2 });
  assert.equal(tokenOfCell(PARTLY, 7), 6);
  assert.equal(tokenOfCell(PARTLY, 8), -1);
  assert.equal(gridInWords(PARTLY), "2 frames of 2 x 3 cells, 8 of 12 with a token");
  assert.equal(gridInWords({ frames: 2, rows: 2, columns: 3 }), "2 frames of 2 x 3 tokens");
});

test("a step over the grid goes on to the next cell with a token", () => {
  assert.equal(tokenAfter(PARTLY, 5, 1), 6, "cell 6 has none, cell 7 has");
  assert.equal(tokenAfter(PARTLY, 11, -1), 6);
  assert.equal(tokenAfter(PARTLY, 2, 3), 5);
  assert.equal(tokenAfter(PARTLY, 3, 3), -1, "cells 6 and 9 have none");
  assert.equal(tokenAfter(PARTLY, 11, 1), -1);
  assert.equal(tokenAfter(PARTLY, 4, 0), 4);
  const toEnd = { ...PARTLY, cells: PARTLY.cells.slice(0, -1) };
  assert.equal(tokenAfter(toEnd, 0, 11, -1), 6, "back from an end without a token");
});
