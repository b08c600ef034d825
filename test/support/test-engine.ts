// An engine for tests of its process: what it does is the question it is asked.
import {
  CancelledError,
  InputError,
  ModelError,
  throwIfCancelled,
} from "../../src/common/errors.ts";
import { serveEngine } from "../../src/engine/service/worker.ts";
import type { EventSink } from "../../src/protocol/events.ts";
import type { AnalysisJob } from "../../src/protocol/requests.ts";

/** Megabytes that the "large" question brings. */
const LARGE = 64;

function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

function say(sink: EventSink, message: string): void {
  sink({ type: "notice", level: "info", message });
}

async function perform(question: string, sink: EventSink, signal: AbortSignal): Promise<void> {
  const [what, argument] = question.split(" ");
  say(sink, question);
  switch (what) {
    case "count":
      for (let i = 0; i < Number(argument); i++) {
        sink({ type: "progress", phase: "decoder", done: i, total: Number(argument) });
      }
      return;
    case "wait":
      for (let waited = 0; waited < Number(argument); waited += 10) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        throwIfCancelled(signal);
      }
      return;
    case "busy":
      // Told, then blocked: as a native call does.
      await new Promise((resolve) => setTimeout(resolve, 20));
      busy(Number(argument));
      return;
    case "large": {
      const data = new Float32Array(LARGE << 18).map((_, i) => i);
      const weights = { dtype: "f32", shape: [data.length], data } as const;
      const reading = { options: {}, top: [] };
      const attention = { queries: [0], headAveraged: true, weights };
      sink({ type: "layer.clean", layer: 0, normed: reading, raw: reading, attention });
      data.fill(-1);
      return;
    }
    case "input":
      throw new InputError("no such video");
    case "model":
      throw new ModelError("no such model");
    case "cancelled":
      throw new CancelledError();
    case "bug":
      throw new TypeError("x is not a function");
    case "signal":
      await new Promise((resolve) => setTimeout(resolve, 20));
      process.kill(process.pid, argument);
      await new Promise(() => setInterval(() => {}, 1_000));
      return;
    case "exit":
      process.stderr.write(`${"gibberish\n".repeat(30)}std::bad_alloc\n`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      process.exit(Number(argument));
  }
}

serveEngine((settings) => ({
  async describe(folder) {
    if (folder === "/none") throw new ModelError("/none: no such folder");
    return {
      folder,
      name: "test",
      family: "llava",
      modelType: "llava",
      layers: 1,
      heads: 1,
      kvHeads: 1,
      headDim: 1,
      hiddenSize: 1,
      intermediateSize: 1,
      vocabSize: 1,
      dtype: "float32",
      parameters: settings.threads,
      bytes: process.pid,
      frames: 1,
      token: { kind: "square", imageSize: 1, tokensPerFrame: 1 },
      visionLayers: 1,
      notices: [],
      supported: true,
      missing: [],
    };
  },
  async forecast(job: AnalysisJob) {
    return { seconds: job.prompt.question.length, bytes: process.pid };
  },
  async warm(folder) {
    if (folder === "/none") throw new ModelError("/none: no such folder");
    busy(50);
  },
  async run(job, sink, signal) {
    await perform(job.prompt.question, sink, signal);
  },
  async experiment(_, id, sink, signal) {
    sink({
      type: "experiment.started",
      experiment: id,
      kind: "pathways",
      recipe: {},
      branches: 0,
    });
    await perform("count 1", sink, signal);
  },
  async observe(_, sink, signal) {
    await perform("count 2", sink, signal);
  },
}));
