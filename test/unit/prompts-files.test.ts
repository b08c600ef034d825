import assert from "node:assert/strict";
import { readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { InputError } from "../../src/common/errors.ts";
import { checkPromptFile, loadPromptFile, promptFileBeside } from "../../src/prompts/files.ts";
import { questionsAbout, selectQuestion } from "../../src/prompts/select.ts";
import { writePromptFile } from "../../src/prompts/write.ts";
import { folderOf, refusal } from "../support/prompt-folder.ts";

test("clips are found relative to the prompt file", async (t) => {
  const root = await folderOf(t, {
    "clips/a.mp4": "",
    "lists/a.vqa.yaml": "\ufeffvideo: ../clips/a.mp4\nquestions: [{question: Why?, id: w}]",
  });
  const [question] = await loadPromptFile(join(root, "lists", "a.vqa.yaml"));
  assert.equal(question?.videoPath, join(root, "clips", "a.mp4"));
  assert.equal(question.videoFound, true);
  assert.equal(question.item.id, "w");
});

test("every error is listed with its line, in one message", async (t) => {
  const text = [
    "video: gone.mp4",
    "questions:",
    "  - {question: Why?, options: [a, b], answer: c}",
    "  - {question: ok}",
    "  - {options: [x]}",
    "  - {question: When?, start: 4, end: 2, colour: red}",
  ].join("\n");
  const root = await folderOf(t, { "a.vqa.yaml": text });
  const message = await refusal(loadPromptFile(join(root, "a.vqa.yaml")));
  assert.match(message, /a\.vqa\.yaml: 4 problems\n/);
  assert.match(message, /line 1: the video "gone\.mp4" is not there/);
  assert.match(message, /line 3: the answer "c" is none of the options/);
  assert.match(message, /line 5: "question" is missing/);
  assert.match(message, /line 6: the part to look at ends at 2 s/);
  assert.doesNotMatch(message, /colour/, "a warning does not stop a run");
});

test("a missing clip is no error when the clip is given otherwise", async (t) => {
  const root = await folderOf(t, { "a.vqa.yaml": "{video: gone.mp4, question: Why?}" });
  const path = join(root, "a.vqa.yaml");
  assert.match(await refusal(loadPromptFile(path)), /: line 1: the video "gone\.mp4"/);
  const [question] = await loadPromptFile(path, { needVideos: false });
  assert.equal(question?.videoFound, false);
  assert.equal(question.videoPath, join(root, "gone.mp4"));
});

test("an editor's text is checked with its clips, each missing one pointed at once", async (t) => {
  const root = await folderOf(t, { "there.mp4": "" });
  const text =
    "video: gone.mp4\nquestions:\n- question: a\n- question: b\n- {question: c, video: there.mp4}";
  const { questions, problems } = await checkPromptFile(join(root, "new.vqa.yaml"), text);
  assert.deepEqual(
    questions.map(({ videoFound }) => videoFound),
    [false, false, true],
  );
  assert.deepEqual(
    problems.map(({ kind, range }) => [kind, range.startLine, range.startColumn]),
    [["video-missing", 0, 7]],
  );
});

test("files that cannot be prompt files are refused by name", async (t) => {
  const root = await folderOf(t, {
    "junk.vqa.yaml": "x".repeat(10 * 1024 * 1024),
    "binary.vqa.yaml": "\u0000\u0001PNG\u0000\u0007\n\t\u0000: [",
    "empty.vqa.yaml": "",
    "many.vqa.yaml": `video: a\nquestions:\n${"- {}\n".repeat(60)}`,
  });
  const load = (name: string) => refusal(loadPromptFile(join(root, name)));
  assert.match(
    await load("junk.vqa.yaml"),
    /junk\.vqa\.yaml: has 10 MB; prompt files of up to 8 MB/,
  );
  assert.match(await load("binary.vqa.yaml"), /binary\.vqa\.yaml: .*line/s);
  assert.match(await load("empty.vqa.yaml"), /holds no question/);
  assert.match(await load("none.vqa.yaml"), /none\.vqa\.yaml: there is no such file/);
  assert.match(await refusal(loadPromptFile(root)), /cannot be read \(EISDIR\)/);
  const many = await load("many.vqa.yaml");
  assert.match(many, /60 problems/);
  assert.match(many, /and 40 more$/);
  assert.ok(many.length < 3000);
});

test("the prompt file beside a clip has its name, or mentions it", async (t) => {
  const root = await folderOf(t, {
    "a.mp4": "",
    "a.vqa.json": "{}",
    "b.mp4": "",
    "b.vqa.yml": "",
    "b.vqa.json": "",
    "c.mp4": "",
    "d.mp4": "",
    "all.vqa.yaml": "[{video: ./c.mp4, question: q}]",
    "broken.vqa.yaml": "c.mp4 [",
    "cd.vqa.yaml": "[{video: c.mp4, question: q}]",
    "other.vqa.yaml": "[{video: sub/d.mp4, question: q}]",
    "frames.v2/001.png": "",
    "frames.v2.vqa.yaml": "",
  });
  const beside = async (name: string) =>
    (await promptFileBeside(join(root, name)))?.slice(root.length + 1);
  assert.equal(await beside("a.mp4"), "a.vqa.json");
  assert.equal(await beside("b.mp4"), "b.vqa.yml");
  assert.equal(await beside("c.mp4"), "all.vqa.yaml");
  assert.equal(await beside("d.mp4"), undefined);
  assert.equal(await beside("frames.v2"), "frames.v2.vqa.yaml");
  assert.equal(await beside("nowhere/x.mp4"), undefined);
});

const QUESTIONS = [{ item: { id: "way" } }, { item: {} }, { item: { id: "1" } }] as const;

test("a question is chosen by id, by its number from 1, or the first", () => {
  assert.equal(selectQuestion(QUESTIONS, undefined), QUESTIONS[0]);
  assert.equal(selectQuestion(QUESTIONS, "way"), QUESTIONS[0]);
  assert.equal(selectQuestion(QUESTIONS, 2), QUESTIONS[1]);
  assert.equal(selectQuestion(QUESTIONS, "2"), QUESTIONS[1]);
  assert.equal(selectQuestion(QUESTIONS, "1"), QUESTIONS[2], "an id comes before a number");
});

test("a question that is not there lists those that are", () => {
  const choose = (wanted: string | number) => () => selectQuestion(QUESTIONS, wanted);
  const message = /there is no question "when"; there are: way, 2, 1/;
  assert.throws(choose("when"), { name: "InputError", message });
  for (const wanted of [0, 4, -1, 1.5, Number.NaN, ""]) assert.throws(choose(wanted), InputError);
  assert.throws(() => selectQuestion([], undefined), /holds no question/);
});

test("a clip's own questions come before those of other clips", async (t) => {
  const root = await folderOf(t, {
    "all.vqa.yaml": "- {video: a.mp4, question: q1}\n- {video: b.mp4, question: q2}",
  });
  const all = await loadPromptFile(join(root, "all.vqa.yaml"), { needVideos: false });
  assert.deepEqual(questionsAbout(all, join(root, "b.mp4")), all.slice(1));
  assert.deepEqual(questionsAbout(all, join(root, "c.mp4")), all);
});

test("a clip given through a link is asked its own question", async (t) => {
  const root = await folderOf(t, {
    "clips/a.mp4": "",
    "clips/b.mp4": "",
    "clips/all.vqa.yaml": "- {video: a.mp4, question: q1}\n- {video: b.mp4, question: q2}",
    "links/other.txt": "",
  });
  const link = join(root, "links", "clip.mp4");
  await symlink(join(root, "clips", "b.mp4"), link);
  const path = join(root, "clips", "all.vqa.yaml");
  assert.equal(await promptFileBeside(link), path);
  const all = await loadPromptFile(path);
  assert.deepEqual(questionsAbout(all, link), all.slice(1));
  await symlink(join(root, "clips"), join(root, "linked"));
  assert.deepEqual(questionsAbout(all, join(root, "linked", "b.mp4")), all.slice(1));
});

test("a file's warnings are noted, and do not stop it", async (t) => {
  const text = "video: a.mp4\nquestion: Why?\ncolour: red";
  const root = await folderOf(t, { "a.mp4": "", "a.vqa.yaml": text });
  const notes: string[] = [];
  const path = join(root, "a.vqa.yaml");
  assert.equal((await loadPromptFile(path, { note: (note) => notes.push(note) })).length, 1);
  assert.deepEqual(notes, [`${path}: line 3: the key "colour" is not known and is left out`]);
});

test("a question just asked becomes a prompt file, and never replaces one", async (t) => {
  const root = await folderOf(t, { "clips/a b.mp4": "" });
  const path = join(root, "a.vqa.yaml");
  const item = {
    id: "way",
    question: 'Which "way": up?\nOr down?',
    options: ["Up", "yes", "3"],
    answer: "3",
    keywords: ["way"],
    startSeconds: 1.5,
    endSeconds: 3,
  };
  await writePromptFile(path, join(root, "clips", "a b.mp4"), [item]);
  assert.match(
    await readFile(path, "utf8"),
    /^video: "clips\/a b\.mp4"\nquestions:\n {2}- id: "way"/,
  );
  const [read] = await loadPromptFile(path);
  const { video, task: _t, frames: _f, template: _p, ...rest } = read?.item ?? { video: "" };
  assert.equal(video, "clips/a b.mp4");
  assert.deepEqual(rest, item);
  assert.match(await refusal(writePromptFile(path, "a.mp4", [item])), /exists already/);
  const nowhere = join(root, "no", "a.vqa.yaml");
  assert.match(await refusal(writePromptFile(nowhere, "a.mp4", [item])), /cannot be written/);
});
