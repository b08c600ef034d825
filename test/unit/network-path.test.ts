import assert from "node:assert/strict";
import { test } from "node:test";
import { leavesForNetwork, networkShare } from "../../src/common/network-path.ts";

test("a UNC path names its share, however it is written", () => {
  const paths = [
    "\\\\Evil\\share\\a.mp4",
    "//evil/share/a.mp4",
    "\\/evil/share\\a.mp4",
    "\\\\?\\UNC\\evil\\share\\a.mp4",
    "\\\\.\\unc\\evil\\share\\a.mp4",
    "//?/UNC/evil/share/a.mp4",
  ];
  for (const path of paths) assert.equal(networkShare(path, "win32"), "\\\\evil\\share", path);
  assert.equal(networkShare("\\\\evil", "win32"), "\\\\evil");
});

test("a path of this computer names no share", () => {
  const paths = ["C:\\clips\\a.mp4", "clips\\a.mp4", "\\clips\\a.mp4", "\\\\?\\C:\\a.mp4"];
  for (const path of paths) assert.equal(networkShare(path, "win32"), undefined, path);
  assert.equal(networkShare("//evil/share/a.mp4", "linux"), undefined);
});

test("a file may lead to its own share, and to no other", () => {
  const from = "\\\\lab\\data\\questions.vqa.yaml";
  assert.equal(leavesForNetwork("\\\\LAB\\data\\a.mp4", from, "win32"), false);
  assert.equal(leavesForNetwork("\\\\evil\\data\\a.mp4", from, "win32"), true);
  assert.equal(leavesForNetwork("\\\\evil\\data\\a.mp4", "C:\\q.vqa.yaml", "win32"), true);
  assert.equal(leavesForNetwork("C:\\a.mp4", "C:\\q.vqa.yaml", "win32"), false);
});
