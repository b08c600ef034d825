import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { randomSource } from "../../src/common/random.ts";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { readRunFile } from "../../src/runs/file.ts";
import { bundleCommandLine, NO_CACHE, ROOT } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";

const SAMPLE = join(ROOT, "samples", "moving-direction-1.mp4");
const ARGS = ["knockout", SAMPLE, "--target", "vql-to-ql", "--window", "3", "--json", "--out"];
const KILLS = 10;

const folder = mkdtempSync(join(tmpdir(), "flowprobe-crash-"));
const { cli, remove } = await bundleCommandLine();
after(async () => {
  rmSync(folder, { recursive: true });
  await remove();
});

const knockout = (file: string) =>
  startChild(process.execPath, [cli, ...ARGS, join(folder, file)], { cwd: folder, env: NO_CACHE });

/** What a run file holds in the end, without ids and times: each layer and each point once. */
async function holds(file: string) {
  const { events } = await readRunFile(join(folder, file));
  const complete = experimentsOf(events).filter((experiment) => experiment.complete);
  assert.equal(complete.length, 1, "one whole experiment");
  return {
    answer: events.find((event) => event.type === "answer"),
    layers: [
      ...new Map(
        events.flatMap((event) =>
          event.type === "layer.clean" ? [[event.layer, event.normed] as const] : [],
        ),
      ),
    ],
    points: complete[0]?.results.map(({ experiment: _, ...point }) => point),
  };
}

let whole: Awaited<ReturnType<typeof holds>>;
let lasts = 0;
before(async () => {
  const started = performance.now();
  assert.equal((await knockout("whole.flow.jsonl").ended).code, 0);
  lasts = performance.now() - started;
  whole = await holds("whole.flow.jsonl");
});

test("a run killed at any moment is continued to the same end", async () => {
  const next = randomSource(20);
  for (let kill = 0; kill < KILLS; kill++) {
    const file = `killed-${kill}.flow.jsonl`;
    const { child, ended } = knockout(file);
    await pause(next() * lasts);
    child.kill("SIGKILL");
    await ended;
    const { code, stderr } = await knockout(file).ended;
    assert.equal(code, 0, `kill ${kill}: ${stderr}`);
    assert.deepEqual(await holds(file), whole, `kill ${kill}`);
  }
});
