import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import { checkPromptFile, loadPromptFile } from "../../src/prompts/files.ts";
import { folderOf, refusal } from "../support/prompt-folder.ts";

const GERMAN = 'video: v.mp4\nquestion: "Wohin bewegt sich die größte Fläche?"\n';
/** "红色的圆往哪里走？" in GBK. */
const CHINESE = [
  ...[0xba, 0xec, 0xc9, 0xab, 0xb5, 0xc4, 0xd4, 0xb2, 0xcd, 0xf9, 0xc4, 0xc4, 0xc0, 0xef],
  ...[0xd7, 0xdf, 0xa3, 0xbf],
];
const GBK = Buffer.concat([
  Buffer.from("video: v.mp4\nquestion: "),
  Buffer.from(CHINESE),
  Buffer.from("\n"),
]);

/** UTF-16 with its byte-order mark. */
function utf16(text: string, order: "le" | "be"): Buffer {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return order === "le" ? bytes : bytes.swap16();
}

test("a text that is not UTF-8 is refused with its byte", async (t) => {
  const root = await folderOf(t, {
    "latin1.vqa.yaml": Buffer.from(GERMAN, "latin1"),
    "gbk.vqa.yaml": GBK,
    "cut.vqa.yaml": Buffer.from(GERMAN.slice(0, 49)).subarray(0, -1),
    "both.vqa.yaml": Buffer.concat([Buffer.from("# \ufffd ü\n"), Buffer.from(GERMAN, "latin1")]),
    "surrogate.vqa.json": Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
    "half.vqa.yaml": utf16(GERMAN, "le").subarray(0, -1),
  });
  const load = (name: string) => refusal(loadPromptFile(join(root, name)));
  const utf8 = (byte: string, line: number) =>
    new RegExp(`: is not UTF-8 \\(byte 0x${byte} at line ${line}\\); save it as UTF-8$`);
  assert.match(await load("latin1.vqa.yaml"), utf8("F6", 2));
  assert.match(await load("gbk.vqa.yaml"), utf8("BA", 2));
  assert.match(await load("cut.vqa.yaml"), utf8("C3", 2));
  assert.match(await load("both.vqa.yaml"), utf8("F6", 3));
  assert.match(await load("surrogate.vqa.json"), utf8("ED", 1));
  assert.match(await load("half.vqa.yaml"), /byte-order mark of utf-16le, but is not/);
});

test("a byte-order mark or a declaration is followed", async (t) => {
  const root = await folderOf(t, {
    "v.mp4": "",
    "le.vqa.yaml": utf16(GERMAN, "le"),
    "be.vqa.yaml": utf16(GERMAN, "be"),
    "utf8.vqa.yaml": `\ufeff${GERMAN}`,
    "latin1.vqa.yaml": Buffer.from(`# -*- coding: latin-1 -*-\n${GERMAN}`, "latin1"),
    "gbk.vqa.yaml": Buffer.concat([Buffer.from("# Fragen\n# encoding=gbk\n"), GBK]),
    "unknown.vqa.yaml": `# coding: klingon\n${GERMAN}`,
    "utf32.vqa.yaml": Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]),
  });
  const question = async (name: string) =>
    (await loadPromptFile(join(root, name)))[0]?.item.question;
  for (const name of ["le", "be", "utf8", "latin1"]) {
    assert.equal(await question(`${name}.vqa.yaml`), "Wohin bewegt sich die größte Fläche?", name);
  }
  assert.equal(await question("gbk.vqa.yaml"), "红色的圆往哪里走？");
  assert.match(await refusal(question("unknown.vqa.yaml")), /encoding klingon, which is not known/);
  assert.match(await refusal(question("utf32.vqa.yaml")), /encoding utf-32le/);
});

test("an editor's misread text is an error, a lost one a warning", async (t) => {
  const shown = GERMAN.replaceAll(/[öäß]/g, "\ufffd");
  const root = await folderOf(t, {
    "misread.vqa.yaml": Buffer.from(GERMAN, "latin1"),
    "lost.vqa.yaml": shown,
  });
  const check = async (name: string) => {
    const { problems } = await checkPromptFile(join(root, name), shown);
    const found = problems.find(({ kind }) => kind === "lost-character");
    return [found?.severity, found?.range.startLine, found?.range.startColumn];
  };
  assert.deepEqual(await check("misread.vqa.yaml"), ["error", 1, 35]);
  assert.deepEqual(await check("lost.vqa.yaml"), ["warning", 1, 35]);
  assert.deepEqual(await check("unsaved.vqa.yaml"), ["warning", 1, 35]);
});

test("a pipe is no prompt file", { skip: process.platform === "win32" }, async (t) => {
  const root = await folderOf(t, {});
  const path = join(root, "pipe.vqa.yaml");
  execFileSync("mkfifo", [path]);
  assert.match(await refusal(loadPromptFile(path)), /is no regular file/);
});
