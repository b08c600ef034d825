import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CleanRecord } from "../src/engine/clean-cache/record.ts";
import { CleanWriter } from "../src/engine/clean-cache/writer.ts";
import { readModelSpec } from "../src/engine/families/registry.ts";
import { OpenModel } from "../src/engine/runtime/model.ts";
import type { Branch } from "../src/engine/trace/interventions.ts";
import { runPass } from "../src/engine/trace/pass.ts";
import type { PassRequest } from "../src/engine/trace/pass-request.ts";
import { planBranches } from "../src/engine/trace/plan.ts";
import { gatherRows } from "../src/engine/trace/rows.ts";
import { unembed } from "../src/engine/trace/unembed.ts";
import { Noise, type RandomSizes, randomCheckpoint } from "../test/support/random-checkpoint.ts";
import { benchContext } from "./context.ts";
import { SETTINGS } from "./decoder.ts";
import { median } from "./gemm.ts";
import { type BenchRow, FOLDER, note, seconds } from "./table.ts";

const ROUNDS = 3;
/** What shares are of: a clean pass of so many layers, whatever the shape measured has. */
const LAYERS = 32;
const TOP_K = 10;

/** What is measured, and its budget as a share of a clean pass. */
const BUDGETS = {
  "keeping the clean run, in the pass that computes it": 0.05,
  "cut of last at all layers": 0.03,
  "cut of the question's rows at all layers": 0.11,
  "lens of one layer, all video tokens": 0.02,
  "attention rows of last, one layer": 0.02,
} as const;
type What = keyof typeof BUDGETS;

/**
 * What is asked after a clean run was kept, as shares of a clean pass; rounds interleaved, medians
 * compared. And how far what was found lies from a fresh pass.
 */
export async function keptRuns(sizes: RandomSizes, name: string): Promise<BenchRow[]> {
  const spec = await readModelSpec(await randomCheckpoint(FOLDER, sizes));
  const model = await OpenModel.open(spec, SETTINGS);
  const { groups, length } = benchContext(sizes.layers, sizes.heads);
  const width = sizes.hidden;
  const embeddings = new Noise(3).draw(length * width, 1);
  const kvWidth = sizes.kvHeads * sizes.headDim;
  const layout = { length, width, kvWidth, layers: sizes.layers };
  const folder = mkdtempSync(join(tmpdir(), "flowprobe-bench-kept-"));
  const path = join(folder, "run");
  const last = length - 1;
  const video = groups.get("video") ?? new Int32Array();
  const middle = sizes.layers >> 1;
  const vocabulary = Int32Array.from({ length: sizes.vocab }, (_, id) => id);

  const pass = async (
    request: Partial<PassRequest>,
    branches: readonly Branch[] = [],
    observe: (layer: number, hidden: () => Float32Array) => Promise<void> = async () => {},
  ): Promise<{ seconds: number; probabilities: Float32Array }> => {
    const started = performance.now();
    const planned = planBranches(branches, length, sizes.layers, () => [last]);
    let probabilities: Float32Array = new Float32Array();
    await runPass(model, embeddings, planned, { maxRows: length, ...request }, async (state) => {
      await observe(state.layer, () => state.hidden);
      if (branches.length === 0 || state.layer < sizes.layers - 1) return;
      const row = state.branchRow(0, last);
      probabilities = (await unembed(model, row, [true], { k: 1, chosen: vocabulary })).chosen;
    });
    return { seconds: (performance.now() - started) / 1000, probabilities };
  };
  const cut = (queries: Int32Array): Branch => {
    const layers = new Set(Array.from({ length: sizes.layers }, (_, layer) => layer));
    const edges = { kind: "product", queries, keys: video } as const;
    return { interventions: [{ kind: "knockout", edges, layers }] };
  };
  const lens = async (layer: number, hidden: () => Float32Array) => {
    if (layer !== middle) return;
    const rows = new Float32Array(video.length * width);
    gatherRows(hidden(), video, width, rows, 0);
    const flags = Array.from(video, () => true);
    await unembed(model, rows, flags, { k: TOP_K, chosen: new Int32Array() });
  };

  const cleans: number[] = [];
  const times = new Map<What, number[]>();
  let difference = 0;
  const measured = (what: What, value: number) =>
    times.set(what, [...(times.get(what) ?? []), value]);
  for (let round = 0; round <= ROUNDS; round++) {
    rmSync(path, { force: true });
    const clean = (await pass({})).seconds;
    const keep = new CleanWriter(path, name, layout);
    const started = performance.now();
    await pass({ keep });
    if (!(await keep.finish())) throw keep.problem;
    const keeping = (performance.now() - started) / 1000;
    const kept = CleanRecord.open(path, name, layout);
    const found: [What, number][] = [];
    for (const [what, queries] of [
      ["cut of last at all layers", Int32Array.of(last)],
      ["cut of the question's rows at all layers", groups.get("question") ?? new Int32Array()],
    ] as const) {
      const mine = await pass({ kept }, [cut(queries)]);
      found.push([what, mine.seconds]);
      if (round > 0) continue;
      const { probabilities } = await pass({}, [cut(queries)]);
      mine.probabilities.forEach((value, id) => {
        difference = Math.max(difference, Math.abs(value - (probabilities[id] ?? Number.NaN)));
      });
    }
    // One layer's lens is a share of the whole pass, so it counts against all layers.
    const scale = sizes.layers / LAYERS;
    found.push([
      "lens of one layer, all video tokens",
      scale * (await pass({ kept }, [], lens)).seconds,
    ]);
    const attention = await pass({ kept, weightRows: Int32Array.of(last) });
    found.push(["attention rows of last, one layer", attention.seconds / LAYERS]);
    kept.close();
    note(`kept run ${round}/${ROUNDS}: clean pass ${seconds(clean)}`);
    // The first round reads weights from the disk.
    if (round === 0) continue;
    cleans.push(clean);
    measured("keeping the clean run, in the pass that computes it", Math.max(0, keeping - clean));
    for (const [what, value] of found) measured(what, value);
  }
  rmSync(folder, { recursive: true });
  await model.release();
  const whole = median(cleans);
  const rows = [...times].map(([what, values]): BenchRow => {
    const share = median(values) / whole;
    return {
      what: `  ${what}`,
      measured: `${(100 * share).toFixed(1)} % (${seconds(median(values))})`,
      budget: `≤ ${100 * BUDGETS[what]} %`,
      met: share <= BUDGETS[what],
    };
  });
  return [
    {
      what: `after a kept clean run, as shares of a clean pass of ${LAYERS} layers (${name})`,
      measured: seconds((whole * LAYERS) / sizes.layers),
      budget: "",
      met: undefined,
    },
    ...rows,
    {
      what: "  largest difference of a probability from a fresh pass",
      measured: difference.toExponential(1),
      budget: "≤ 1e-5",
      met: difference <= 1e-5,
    },
  ];
}
