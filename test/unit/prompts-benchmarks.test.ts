import assert from "node:assert/strict";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { loadPromptFile } from "../../src/prompts/files.ts";
import { folderOf, refusal } from "../support/prompt-folder.ts";

const record = (video: string) => ({ video, question: "q", candidates: ["a", "b"], answer: "a" });
const list = (...videos: string[]) => JSON.stringify(videos.map(record));

/** The clips that a list takes, relative to its folder; null for one that is not found. */
async function taken(root: string, name: string): Promise<(string | null)[]> {
  const questions = await loadPromptFile(join(root, "json", `${name}.json`), { needVideos: false });
  return questions.map(({ videoPath, videoFound }) =>
    videoFound ? videoPath.slice(root.length + 1) : null,
  );
}

test("TVBench's clips are those of the task's own folder", async (t) => {
  const root = await folderOf(t, {
    "json/action_count.json": list("x.mp4", "y.mp4"),
    "video/action_count/x.mp4": "",
    "video/a_first/x.mp4": "",
    "video/y.mp4": "",
    "video/perception/videos/x.mp4": "",
  });
  assert.deepEqual(await taken(root, "action_count"), ["video/action_count/x.mp4", "video/y.mp4"]);
});

test("MVBench's clips are those of the source in its table", async (t) => {
  const root = await folderOf(t, {
    "json/object_shuffle.json": list("v1.mp4"),
    "json/moving_count.json": list("v1.mp4"),
    "json/action_sequence.json": list("s.mp4"),
    "json/episodic_reasoning.json": list("show_s01e01"),
    "video/clevrer/video_validation/v1.mp4": "",
    "video/perception/videos/v1.mp4": "",
    "video/star/Charades_v1_480/s.mp4": "",
    "video/tvqa/frames_fps3_hq/show_s01e01/00001.jpg": "",
  });
  assert.deepEqual(await taken(root, "object_shuffle"), ["video/perception/videos/v1.mp4"]);
  assert.deepEqual(await taken(root, "moving_count"), ["video/clevrer/video_validation/v1.mp4"]);
  assert.deepEqual(await taken(root, "action_sequence"), ["video/star/Charades_v1_480/s.mp4"]);
  const frames = ["video/tvqa/frames_fps3_hq/show_s01e01"];
  assert.deepEqual(await taken(root, "episodic_reasoning"), frames);
});

test("another source's clip of the same name is not taken", async (t) => {
  const root = await folderOf(t, {
    "json/object_shuffle.json": list("v1.mp4"),
    "json/action_count.json": list("x.mp4"),
    "video/clevrer/video_validation/v1.mp4": "",
    "video/object_count/x.mp4": "",
    "video/action_count/other.mp4": "",
  });
  assert.deepEqual(await taken(root, "object_shuffle"), [null]);
  const source = await refusal(loadPromptFile(join(root, "json", "object_shuffle.json")));
  assert.match(source, /v1\.mp4" is not there \(.*video\/perception\/videos\/v1\.mp4\)/);
  assert.match(source, /another task's folder \(video\/clevrer\/video_validation\/v1\.mp4\)/);
  const task = await refusal(loadPromptFile(join(root, "json", "action_count.json")));
  assert.match(task, /another task's folder \(video\/object_count\/x\.mp4\)/);
});

test("of a list in no known layout the only clip is taken", async (t) => {
  const root = await folderOf(t, {
    "json/mine.json": list("one.mp4", "two.mp4"),
    "video/a/b/one.mp4": "",
    "video/a/two.mp4": "",
    "video/c/two.mp4": "",
  });
  assert.deepEqual(await taken(root, "mine"), ["video/a/b/one.mp4", null]);
  const message = await refusal(loadPromptFile(join(root, "json", "mine.json")));
  assert.match(message, /several clips have that name \(video\/a\/two\.mp4, video\/c\/two\.mp4\)/);
});

test("a benchmark's folders may be links to another disk", async (t) => {
  const root = await folderOf(t, {
    "disk/perception/videos/v1.mp4": "",
    "json/object_shuffle.json": list("v1.mp4"),
    "json/mine.json": list("v1.mp4"),
  });
  await mkdir(join(root, "video"));
  await symlink(join(root, "disk", "perception"), join(root, "video", "perception"));
  const found = ["video/perception/videos/v1.mp4"];
  assert.deepEqual(await taken(root, "object_shuffle"), found);
  assert.deepEqual(await taken(root, "mine"), found);
  await rm(join(root, "video", "perception"));
  assert.deepEqual(await taken(root, "mine"), [null]);
});
