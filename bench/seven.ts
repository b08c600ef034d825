import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CancelledError } from "../src/common/errors.ts";
import { Engine } from "../src/engine/engine.ts";
import { loadPromptFile } from "../src/prompts/files.ts";
import type { RunEvent } from "../src/protocol/events.ts";
import type { AnalysisJob } from "../src/protocol/requests.ts";
import { KNOCKOUT_TARGETS } from "../src/protocol/vocabulary.ts";
import { cachedCheckpoint, type RandomSizes } from "../test/support/random-checkpoint.ts";
import { SETTINGS } from "./decoder.ts";
import { PeakMemory } from "./memory.ts";
import { type BenchRow, FOLDER, giga, note, seconds } from "./table.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const EMBEDDED = join(ROOT, "models", "embedded");

/** LLaVA-NeXT-7B-Video-FT: Vicuna 7B behind CLIP ViT-L/14-336. */
const SIZES: RandomSizes = {
  hidden: 4096,
  inner: 11_008,
  layers: 32,
  heads: 32,
  kvHeads: 32,
  headDim: 128,
  vocab: 32_000,
  dtype: "BF16",
  seed: 3,
  picture: { image: 336, patch: 14 },
  tower: { hidden: 1024, inner: 4096, layers: 24, heads: 16 },
};
const SHARDS = 3;
/** The paper's pooling: 8 frames of 12 x 12 tokens. */
const POOLING = { num_frames: 8, frame_shape: [24, 24], pooling_shape: [8, 12, 12] };

async function checkpoint(): Promise<string> {
  const read = (name: string) => readFileSync(join(EMBEDDED, name), "utf8");
  const side = SIZES.picture?.image;
  const processor = {
    ...JSON.parse(read("preprocessor_config.json")),
    size: { shortest_edge: side },
    crop_size: { height: side, width: side },
  };
  return cachedCheckpoint(FOLDER, SIZES, {
    shards: SHARDS,
    config: { ...POOLING, use_pooling: true },
    files: {
      "tokenizer.json": read("tokenizer.json"),
      "tokenizer_config.json": read("tokenizer_config.json"),
      "preprocessor_config.json": JSON.stringify(processor),
    },
  });
}

/** When stages of a run were over, in seconds from its start, as its events tell. */
class Stopwatch {
  readonly #started = performance.now();
  readonly at = new Map<string, number>();
  points = 0;
  #told = 0;

  readonly sink = (event: RunEvent): void => {
    const elapsed = (performance.now() - this.#started) / 1000;
    const mark = (name: string) => {
      if (!this.at.has(name)) this.at.set(name, elapsed);
    };
    if (event.type === "progress") {
      if (event.phase === "open" && event.done === 1) mark("open");
      if (event.phase === "decoder") mark("decoder");
      const minute = Math.floor(elapsed / 60);
      if (minute > this.#told) {
        this.#told = minute;
        const left = event.secondsLeft === undefined ? "" : `, ${seconds(event.secondsLeft)} left`;
        note(
          `${event.phase} ${(100 * event.done) / event.total} % after ${seconds(elapsed)}${left}`,
        );
      }
    }
    if (event.type === "layer.clean") mark(`layer ${event.layer}`);
    if (event.type === "answer") mark("answer");
    if (event.type === "branch.result") this.points++;
    if (event.type === "notice") note(event.message);
  };

  get elapsed(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** Seconds at which the stage was over. */
  of(name: string): number {
    return this.at.get(name) ?? Number.NaN;
  }
}

/**
 * The 7B shape as a researcher has it on disk (bf16, sharded, behind symbolic links): a whole
 * analysis of a clip with every reading and the paper's sweep; then the same clip once more.
 */
export async function sevenBillion(): Promise<BenchRow[]> {
  note("7B shape: writing random weights on the first run takes some minutes (14 GB)");
  const model = await checkpoint();
  const [question] = await loadPromptFile(join(ROOT, "samples", "moving-direction-1.vqa.yaml"));
  if (question === undefined) throw new Error("the sample has a question");
  const job: AnalysisJob = {
    model,
    embedded: false,
    clip: { path: question.videoPath },
    prompt: question.item,
    observe: { lens: true, mass: true, attention: "text", headAveraged: true },
    experiments: [{ kind: "knockout", targets: KNOCKOUT_TARGETS, window: 9, style: "center" }],
  };
  const memory = new PeakMemory();
  const engine = new Engine(SETTINGS);
  const forecast = await engine.forecast(job);
  await engine.release();
  const first = new Stopwatch();
  await engine.run(job, first.sink, new AbortController().signal);
  const whole = first.elapsed;
  // Once more, and stopped at the first layer: what a second experiment waits for.
  const stop = new AbortController();
  const again = new Stopwatch();
  const watch = (event: RunEvent) => {
    again.sink(event);
    if (event.type === "layer.clean") stop.abort();
  };
  try {
    await engine.run({ ...job, experiments: [] }, watch, stop.signal);
  } catch (error) {
    if (!(error instanceof CancelledError)) throw error;
  }
  const stopped = again.elapsed - again.of("layer 0");
  await engine.release();
  const clean = first.of("answer") - first.of("decoder");
  return [
    {
      what: `7B bf16 checkpoint, ${SHARDS} shards behind symbolic links: open`,
      measured: seconds(first.of("open")),
      budget: "≤ 2 s",
      met: first.of("open") <= 2,
    },
    {
      what: `  whole analysis with the paper's sweep (${first.points} points)`,
      measured: `${seconds(whole)} (forecast ${seconds(forecast.seconds)}): vision ${seconds(first.of("decoder") - first.of("open"))}, clean ${seconds(clean)}, sweep ${seconds(whole - first.of("answer"))}`,
      budget: "",
      met: undefined,
    },
    {
      what: "  peak anonymous memory",
      measured: giga(memory.peak),
      budget: "≤ 4 GB",
      met: memory.peak <= 4e9,
    },
    {
      what: "  the same clip again: decoder reached; stopped after a cancel",
      measured: `${seconds(again.of("decoder"))}; ${seconds(stopped)}`,
      budget: "",
      met: undefined,
    },
  ];
}
