import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { bundleCommandLine, NO_CACHE, ROOT } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";

const SAMPLES = join(ROOT, "samples");
const folder = await mkdtemp(join(tmpdir(), "flowprobe-cli-prompts-"));
const { cli, remove } = await bundleCommandLine();
after(async () => {
  await rm(folder, { recursive: true, force: true });
  await remove();
});

const flowprobe = (...args: string[]) =>
  startChild(process.execPath, [cli, ...args], { cwd: folder, env: NO_CACHE }).ended;

const report = z.object({ video: z.string(), prompt: z.string() });

/** The prompt that an analysis asked. */
async function asked(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await flowprobe("analyze", ...args, "--json");
  assert.equal(code, 0, stderr);
  return report.parse(JSON.parse(stdout)).prompt;
}

test("a list goes on after clips that cannot be used", async () => {
  const record = (video: string, more: object = {}) => ({
    ...{ video, question: "Which way does the red circle go?", ...more },
    ...{ candidates: ["Left", "Down", "Right", "Up"], answer: "Up" },
  });
  cpSync(join(SAMPLES, "moving-direction-1.mp4"), join(folder, "a.mp4"));
  cpSync(join(SAMPLES, "moving-direction-2.mp4"), join(folder, "b.mp4"));
  cpSync(join(SAMPLES, "moving-direction-2.mp4"), join(folder, "cut.mp4"));
  truncateSync(join(folder, "cut.mp4"), 4000);
  const records = [
    record("gone.mp4"),
    record("a.mp4"),
    record("cut.mp4"),
    record("a.mp4", { start: 50, end: 60 }),
    record("b.mp4"),
  ];
  writeFileSync(join(folder, "way.json"), JSON.stringify(records));
  const { code, stdout, stderr } = await flowprobe(
    ...["dataset", "way.json", "--out", "runs", "--target", "vql-to-ql", "--layers", "6-6"],
    ...["--samples", "all", "--json"],
  );
  assert.equal(code, 2);
  const found = z.object({
    tasks: z.array(z.looseObject({ task: z.string(), clips: z.int() })),
    failed: z.array(z.strictObject({ number: z.int(), video: z.string(), reason: z.string() })),
  });
  const { tasks, failed } = found.parse(JSON.parse(stdout));
  assert.deepEqual(
    tasks.map(({ task, clips }) => [task, clips]),
    [["Way", 2]],
  );
  assert.deepEqual(
    failed.map(({ number, video }) => [number, video]),
    [
      [1, "gone.mp4"],
      [3, "cut.mp4"],
      [4, "a.mp4"],
    ],
  );
  assert.match(stderr, /way\.json: 3 of 5 questions could not be run\n/);
  assert.match(stderr, /question 1 \(gone\.mp4\): the video "gone\.mp4" is not there/);
  assert.match(stderr, /question 4 \(a\.mp4\): start \(50 s\) is beyond the end/);
  assert.deepEqual(readdirSync(join(folder, "runs")).length, 2);
});

test("a # in a prompt file's path is part of it", async () => {
  const inside = join(folder, "set #1");
  await mkdir(inside);
  const text = readFileSync(join(SAMPLES, "moving-direction-1.vqa.yaml"), "utf8");
  cpSync(join(SAMPLES, "moving-direction-1.mp4"), join(inside, "k.mp4"));
  writeFileSync(join(inside, "k.vqa.yaml"), text.replace("moving-direction-1.mp4", "k.mp4"));
  const clip = join(inside, "k.mp4");
  const whole = await asked(clip, "--prompt", "set #1/k.vqa.yaml", "--out", "h1.flow.jsonl");
  const withId = ["--prompt", "set #1/k.vqa.yaml#direction", "--out", "h2.flow.jsonl"];
  assert.equal(await asked(clip, ...withId), whole);
  const { code, stderr } = await flowprobe("analyze", clip, "--prompt", "set #1/no.yaml");
  assert.equal(code, 2);
  assert.match(stderr, /there is no such file/);
});

test("a clip that a list does not name needs a choice", async () => {
  const lines = ["a.mp4", "b.mp4"].map((video, i) => `- {video: ${video}, question: Q${i + 1}}`);
  writeFileSync(join(folder, "two.vqa.yaml"), lines.join("\n"));
  const clip = join(SAMPLES, "moving-direction-1.mp4");
  const { code, stderr } = await flowprobe("analyze", clip, "--prompt", "two.vqa.yaml");
  assert.equal(code, 2);
  assert.match(stderr, /two\.vqa\.yaml: has questions about 2 clips, and none about/);
  const chosen = await asked(clip, "--prompt", "two.vqa.yaml#2", "--out", "two.flow.jsonl");
  assert.match(chosen, /Q2/);
});

test("the options' own letters are left out, and noted", async () => {
  const clip = join(SAMPLES, "moving-direction-1.mp4");
  const question = ["--question", "Which way?", "--option", "A. left", "--option", "B. up"];
  const args = [...question, "--answer", "B", "--out", "letters.flow.jsonl"];
  const { code, stderr, stdout } = await flowprobe("analyze", clip, ...args, "--json");
  assert.equal(code, 0, stderr);
  assert.match(stderr, /note: the options' own letters \("A\. left"\) are left out/);
  assert.match(report.parse(JSON.parse(stdout)).prompt, /\n\(A\) left\n\(B\) up \n/);
});
