import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { InputError } from "../../src/common/errors.ts";
import { repositoryName, revisionName } from "../../src/hub/names.ts";
import { environmentToken, hubSettings } from "../../src/hub/settings.ts";
import { Speedometer } from "../../src/hub/speed.ts";

test("cache, address and offline mode come from the variables that the hub's own tools read", () => {
  const home = homedir();
  assert.deepEqual(hubSettings({}), {
    endpoint: "https://huggingface.co",
    cache: join(home, ".cache", "huggingface", "hub"),
    offline: false,
  });
  assert.equal(hubSettings({ XDG_CACHE_HOME: "/x" }).cache, join("/x", "huggingface", "hub"));
  assert.equal(hubSettings({ XDG_CACHE_HOME: "/x", HF_HOME: "/h" }).cache, join("/h", "hub"));
  assert.equal(hubSettings({ HF_HOME: "~/h" }).cache, join(home, "h", "hub"));
  assert.equal(hubSettings({ HF_HOME: "/h", HF_HUB_CACHE: "/c" }).cache, "/c");
  assert.equal(
    hubSettings({ HF_ENDPOINT: "http://mirror:8080/hf/" }).endpoint,
    "http://mirror:8080/hf",
  );
  for (const value of ["1", "on", "YES", "True"]) {
    assert.equal(hubSettings({ HF_HUB_OFFLINE: value }).offline, true, value);
  }
  assert.equal(hubSettings({ HF_HUB_OFFLINE: "0" }).offline, false);
  for (const HF_ENDPOINT of ["mirror", "file:///x"]) {
    assert.throws(() => hubSettings({ HF_ENDPOINT }), InputError);
  }
});

test("the token is the environment's, else the one that the hub's own tools keep in a file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "flowprobe-token-"));
  try {
    assert.equal(await environmentToken({ HF_HOME: folder }), undefined);
    writeFileSync(join(folder, "token"), "hf_file\n");
    assert.equal(await environmentToken({ HF_HOME: folder }), "hf_file");
    assert.equal(await environmentToken({ HF_HOME: folder, HF_TOKEN: " hf_env " }), "hf_env");
    writeFileSync(join(folder, "other"), "hf_other");
    const stated = { HF_HOME: folder, HF_TOKEN_PATH: join(folder, "other") };
    assert.equal(await environmentToken(stated), "hf_other");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a model's name may be its page's address; what could lead out of the cache is refused", () => {
  const name = (text: string) => repositoryName(text, "https://mirror.test");
  assert.equal(name(" lab/Tiny-1.5_b "), "lab/Tiny-1.5_b");
  assert.equal(name("https://huggingface.co/lab/tiny"), "lab/tiny");
  assert.equal(name("https://mirror.test/lab/tiny/tree/main?x=1"), "lab/tiny");
  const bad = [
    "",
    "..",
    "a/..",
    "../b",
    "a/b/c",
    "a\\b",
    "a b/c",
    "/a",
    "a--b/c",
    "https://evil.test/a/b",
  ];
  for (const text of bad) assert.throws(() => name(text), InputError, text);
});

test("a revision may be a branch with slashes, but no path", () => {
  assert.equal(revisionName("refs/pr/1"), "refs/pr/1");
  for (const text of ["", "../x", "a/../b", "/a", "a//b", "a b", "."]) {
    assert.throws(() => revisionName(text), InputError, text);
  }
});

test("the time left follows the speed of late, and bytes that were there before do not count", () => {
  let now = 0;
  const speed = new Speedometer(() => now);
  assert.equal(speed.secondsFor(100), undefined);
  speed.startAt(5_000);
  for (let second = 0; second <= 5; second++) {
    now = second * 1_000;
    speed.reached(5_000 + second * 100);
  }
  assert.equal(speed.secondsFor(1_000), 10);
  speed.startAt(1e9);
  for (let second = 6; second <= 30; second++) {
    now = second * 1_000;
    speed.reached(1e9 + (second - 5) * 1_000);
  }
  assert.ok(Math.abs((speed.secondsFor(1_000) ?? 0) - 1) < 0.01);
});
