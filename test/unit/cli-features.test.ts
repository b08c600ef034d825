import assert from "node:assert/strict";
import { readdirSync, truncateSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { bundleCommandLine, ROOT } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";

const SAMPLE = join(ROOT, "samples", "moving-direction-1.mp4");
const folder = await mkdtemp(join(tmpdir(), "flowprobe-cli-features-"));
const cache = join(folder, "cache");
const { cli, remove } = await bundleCommandLine();
after(async () => {
  await rm(folder, { recursive: true, force: true });
  await remove();
});

let runs = 0;

/** Runs a command on the sample; each writes a run file of its own. */
async function flowprobe(kept: string, command: string, ...args: string[]): Promise<string> {
  const out = join(folder, `run-${++runs}.flow.jsonl`);
  const asked = [cli, command, SAMPLE, ...args, "--out", out];
  const env = { ...process.env, FLOWPROBE_CACHE: kept };
  const { code, stdout, stderr } = await startChild(process.execPath, asked, { cwd: folder, env })
    .ended;
  assert.equal(code, 0, stderr);
  return stdout;
}

const report = z.looseObject({
  featuresCached: z.boolean(),
  answer: z.object({ token: z.string(), probability: z.number() }),
  answerByLayer: z.array(z.unknown()).length(12),
});
const FOUND = /^features {2}.* known from an earlier run/m;
const entries = () => readdirSync(join(cache, "vision"));

/** The printed rows of numbers. */
function numbers(stdout: string): string[] {
  return stdout.split("\n").filter((line) => /^ +\d+ |^answer /.test(line));
}

test("a second command on a clip starts at the decoder, says so, and prints equal numbers", async () => {
  const first = await flowprobe(cache, "analyze");
  assert.doesNotMatch(first, FOUND);
  assert.equal(entries().length, 1);
  const second = await flowprobe(cache, "analyze", "--question", "Where?", "--option", "Up");
  assert.match(second, FOUND, "another question about the same frames");
  const third = await flowprobe(cache, "analyze");
  assert.match(third, FOUND);
  assert.deepEqual(numbers(third), numbers(first));
  assert.equal(numbers(first).length, 13);

  const known = report.parse(JSON.parse(await flowprobe(cache, "analyze", "--json")));
  const computed = report.parse(JSON.parse(await flowprobe("off", "analyze", "--json")));
  assert.deepEqual([known.featuresCached, computed.featuresCached], [true, false]);
  assert.deepEqual(known.answerByLayer, computed.answerByLayer);
  assert.deepEqual(known.answer, computed.answer);
  assert.equal(entries().length, 1);
});

test("other frames of the clip are other features", async () => {
  for (const [i, args] of [
    ["--frames", "4"],
    ["--order", "reversed"],
  ].entries()) {
    assert.doesNotMatch(await flowprobe(cache, "analyze", ...args), FOUND);
    assert.equal(entries().length, 2 + i);
  }
});

test("a damaged entry is told, computed anew and mended", async () => {
  const before = await flowprobe(cache, "analyze");
  for (const name of entries()) truncateSync(join(cache, "vision", name), 200);
  const damaged = await flowprobe(cache, "analyze");
  assert.doesNotMatch(damaged, FOUND);
  assert.match(damaged, /^note: .*are damaged; computed anew$/m);
  const mended = await flowprobe(cache, "analyze");
  assert.match(mended, FOUND);
  for (const stdout of [damaged, mended]) assert.deepEqual(numbers(stdout), numbers(before));
});

test("a cache that cannot be written is told, and the command works", async () => {
  const stdout = await flowprobe(join(cli, "no-folder"), "analyze");
  assert.match(stdout, /^note: .*cannot be kept there/m);
  assert.equal(numbers(stdout).length, 13);
});
