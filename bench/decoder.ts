import { planKnockout } from "../src/engine/experiments/knockout.ts";
import { massRequest } from "../src/engine/experiments/observe.ts";
import { type ExperimentPoint, planPoints } from "../src/engine/experiments/plan.ts";
import { readModelSpec } from "../src/engine/families/registry.ts";
import type { DecoderSpec } from "../src/engine/families/shared/spec.ts";
import { OpenModel } from "../src/engine/runtime/model.ts";
import { planMemory } from "../src/engine/trace/memory.ts";
import { runPass } from "../src/engine/trace/pass.ts";
import { unembed } from "../src/engine/trace/unembed.ts";
import { KNOCKOUT_TARGETS, type KnockoutTarget } from "../src/protocol/vocabulary.ts";
import { naiveForward } from "../test/support/naive.ts";
import { Noise, type RandomSizes, randomCheckpoint } from "../test/support/random-checkpoint.ts";
import { benchContext } from "./context.ts";
import { PeakMemory } from "./memory.ts";

export const SETTINGS = { provider: "cpu", threads: 2, memoryBudgetBytes: 3.5e9 } as const;

/** How long a pass took. */
export interface PassTimes {
  readonly seconds: number;
  /** Seconds of each layer with its readings; planning belongs to the first. */
  readonly layers: readonly number[];
}

/**
 * Seconds of a pass that nothing disturbed: each layer's quickest of several passes, summed. Other
 * processes only ever add time, and seldom leave seconds in a row alone.
 */
export function undisturbed(passes: readonly PassTimes[]): number {
  const [first] = passes;
  const quickest = first?.layers.map((_, layer) =>
    Math.min(...passes.map(({ layers }) => layers[layer] ?? Number.NaN)),
  );
  return quickest?.reduce((sum, seconds) => sum + seconds, 0) ?? Number.NaN;
}

/** A random-weight decoder, opened, with a prompt of random embeddings. */
export class BenchModel {
  readonly memory = new PeakMemory();
  readonly #embeddings: Float32Array;

  private constructor(
    readonly model: OpenModel,
    readonly openSeconds: number,
    readonly length: number,
  ) {
    this.#embeddings = new Noise(5).draw(length * model.spec.decoder.hiddenSize, 1);
  }

  static async open(folder: string, sizes: RandomSizes): Promise<BenchModel> {
    const checkpoint = await randomCheckpoint(folder, sizes);
    const started = performance.now();
    const model = await OpenModel.open(await readModelSpec(checkpoint), SETTINGS);
    const seconds = (performance.now() - started) / 1000;
    return new BenchModel(model, seconds, benchContext(sizes.layers, sizes.heads).length);
  }

  /** One clean pass with its observations: answer by layer and group mass. */
  async clean(): Promise<PassTimes> {
    return this.#pass([]);
  }

  /** The clean pass and the series of these targets whose names the filter accepts. */
  async sweep(
    targets: readonly KnockoutTarget[],
    accepts: (series: string) => boolean = () => true,
    progress?: (layer: number, share: number) => void,
  ): Promise<PassTimes & { points: number }> {
    const points = this.points(targets).filter(({ series }) => accepts(series));
    return { ...(await this.#pass(points, progress)), points: points.length };
  }

  /** Seconds of one masked full forward. */
  async naive(point: ExperimentPoint): Promise<number> {
    const started = performance.now();
    await naiveForward(this.model, this.#embeddings, point.branch, () => {});
    return (performance.now() - started) / 1000;
  }

  points(targets: readonly KnockoutTarget[] = KNOCKOUT_TARGETS): readonly ExperimentPoint[] {
    const { decoder } = this.model.spec;
    const context = benchContext(decoder.layers.length, decoder.heads);
    return planKnockout({ kind: "knockout", targets, window: 9, style: "center" }, context).points;
  }

  async #pass(
    points: readonly ExperimentPoint[],
    progress?: (layer: number, share: number) => void,
  ): Promise<PassTimes> {
    const { model, length } = this;
    const { decoder } = model.spec;
    const width = decoder.hiddenSize;
    const context = benchContext(decoder.layers.length, decoder.heads);
    const started = performance.now();
    const layers: number[] = [];
    let told = started;
    const tell = (layer: number) => {
      const now = performance.now();
      layers[layer] = (layers[layer] ?? 0) + (now - told) / 1000;
      told = now;
    };
    const planned = planPoints(points, length, decoder.layers.length);
    const { groups, maxRows } = planMemory(decoder, length, planned, SETTINGS.memoryBudgetBytes);
    const mass = massRequest(context.groups, length).request;
    for (const group of groups) {
      const members = group.flatMap((index) => planned[index] ?? []);
      await runPass(
        model,
        this.#embeddings,
        members,
        {
          mass,
          maxRows,
          ...(progress === undefined ? {} : { progress }),
        },
        async (state) => {
          const rows = new Float32Array(2 * width);
          rows.set(state.hidden.subarray((length - 1) * width));
          rows.set(rows.subarray(0, width), width);
          await unembed(model, rows, [true, false], { k: 10, chosen: Int32Array.of(5, 6, 7, 8) });
          if (state.layer === decoder.layers.length - 1 && members.length > 0) {
            const ends = new Float32Array(members.length * width);
            members.forEach((_, b) => {
              ends.set(state.branchRow(b, length - 1), b * width);
            });
            const normed = members.map(() => true);
            await unembed(model, ends, normed, { k: 1, chosen: Int32Array.of(5, 6, 7, 8) });
          }
          tell(state.layer);
        },
      );
    }
    return { seconds: (performance.now() - started) / 1000, layers };
  }
}

/** Multiply-adds of one clean pass, causal attention counted by the edges that exist. */
export function cleanMultiplyAdds(decoder: DecoderSpec, length: number): number {
  const query = decoder.heads * decoder.headDim;
  const key = decoder.kvHeads * decoder.headDim;
  const rows =
    length *
    (decoder.hiddenSize * (2 * query + 2 * key) +
      3 * decoder.hiddenSize * decoder.intermediateSize);
  const edges = (length * (length + 1)) / 2;
  return decoder.layers.length * (rows + 2 * edges * query);
}
