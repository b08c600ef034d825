import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Engine } from "../../src/engine/engine.ts";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import type { AnalysisJob } from "../../src/protocol/requests.ts";
import { encodePicture } from "../../src/video/pictures.ts";

const EMBEDDED = fileURLToPath(new URL("../../models/embedded", import.meta.url));
const IMAGES = 16;
/** Where the reference's rule samples eight of sixteen: round(1.875 i), halves to even. */
const SAMPLED = [0, 2, 4, 6, 8, 9, 11, 13];

describe("the engine on a folder of images", () => {
  const engine = new Engine({ provider: "cpu", threads: 1, memoryBudgetBytes: 1e9 });
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "flowprobe-engine-"));
    for (let i = 0; i < IMAGES; i++) {
      // A bright square that moves to the right.
      const data = new Uint8Array(64 * 64 * 3).fill(40);
      for (let y = 24; y < 40; y++) data.fill(230, (y * 64 + 3 * i) * 3, (y * 64 + 3 * i + 14) * 3);
      writeFileSync(
        join(folder, `frame-${String(i).padStart(2, "0")}.png`),
        encodePicture({ width: 64, height: 64, data }, 64),
      );
    }
  });
  after(async () => {
    await engine.release();
    rmSync(folder, { recursive: true });
  });

  async function run(order?: AnalysisJob["clip"]["order"]): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    await engine.run(
      {
        model: EMBEDDED,
        embedded: true,
        clip: { path: folder, order },
        prompt: { question: "What moves?", options: ["A square", "Nothing"], keywords: [] },
        observe: { lens: false, mass: false, attention: "none", headAveraged: true },
        experiments: [],
      },
      (event) => events.push(event),
      new AbortController().signal,
    );
    return events;
  }

  function only<T extends RunEvent["type"]>(events: readonly RunEvent[], type: T): RunEventOf<T> {
    const found = events.filter((event): event is RunEventOf<T> => event.type === type);
    assert.equal(found.length, 1, `one ${type}`);
    return found[0] as RunEventOf<T>;
  }

  test("a clip without a clock has no times, and its frames' pictures are in the run", async () => {
    const events = await run();
    const { video } = only(events, "run.started");
    assert.equal(video.order, undefined);
    assert.deepEqual(
      video.frames.map(({ index }) => index),
      SAMPLED,
    );
    assert.ok(video.frames.every(({ timestampSeconds }) => timestampSeconds === null));
    assert.equal(only(events, "video.frames").frames.length, SAMPLED.length);
    const kinds = events.map(({ type }) => type).filter((type) => type !== "progress");
    assert.deepEqual(kinds.slice(0, 1), ["run.started"]);
    const first = kinds.indexOf("layer.clean");
    assert.equal(kinds[first + 1], "video.frames", "the first layer does not wait for pictures");
  });

  test("a counterfactual clip says its order, shows its frames in it, and is another input", async () => {
    const plain = only(await run(), "answer");
    const events = await run("reversed");
    const { video } = only(events, "run.started");
    assert.equal(video.order, "reversed");
    assert.deepEqual(
      video.frames.map(({ index }) => index),
      SAMPLED.toReversed(),
    );
    assert.notEqual(only(events, "answer").answer.probability, plain.answer.probability);

    const frozen = only(await run("frozen"), "run.started").video;
    assert.equal(new Set(frozen.frames.map(({ index }) => index)).size, 1);
    const shuffled = only(await run("shuffled"), "run.started").video;
    const indices = shuffled.frames.map(({ index }) => index);
    assert.notDeepEqual(indices, SAMPLED);
    assert.deepEqual(
      indices.toSorted((a, b) => a - b),
      SAMPLED,
    );
  });
});
