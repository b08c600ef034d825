import type { GenerationCut, RequestOf } from "../../protocol/experiments/schemas.ts";
import { generate } from "../trace/generate.ts";
import type { Intervention } from "../trace/interventions.ts";
import { forecastPasses, promptCacheBytes } from "../trace/memory.ts";
import { type PlannedBranch, planBranches } from "../trace/plan.ts";
import { type CleanSource, passWithKept } from "./clean-pass.ts";
import { crossFrameEdges, edgesBetween } from "./edges.ts";
import { reportForecast } from "./forecast.ts";
import { pathwayCuts } from "./pathway-space.ts";
import { type ExperimentContext, layersIn } from "./plan.ts";
import type { RunAlone, RunParts } from "./run.ts";

/** Stands for all frames, as the group that cross-frame edges go from and to. */
const CROSS_FRAME = "cross-frame";

/** Name of the uncut run among the series of a generation. */
export const CLEAN_SERIES = "clean";

/**
 * Greedy decoding, clean and under each cut, told token by token.
 *
 * @throws InputError when a cut names a token group or layers that are not there.
 */
export function planGeneration(
  request: RequestOf<"generation">,
  context: ExperimentContext,
): RunAlone {
  const branches = request.cuts.map((cut) => ({ interventions: interventionsOf(cut, context) }));
  const last = context.length - 1;
  const planned = planBranches(branches, context.length, context.layers, () => [last]);
  return {
    // The prompt's own passes; the steps after them are not counted.
    forecast: (decoder, length, budgetBytes) =>
      forecastPasses(decoder, length, planned, budgetBytes),
    run: (id, parts) => runGeneration(id, request, planned, parts),
  };
}

async function runGeneration(
  id: string,
  request: RequestOf<"generation">,
  planned: readonly PlannedBranch[],
  { model, prompt, decode, settings, sink }: RunParts,
): Promise<void> {
  const started = performance.now();
  const { decoder } = model.spec;
  const budgetBytes = settings.memoryBudgetBytes;
  const { memory, multiplyAdds } = forecastPasses(
    decoder,
    prompt.length,
    planned,
    budgetBytes,
    prompt.clean?.record !== undefined,
  );
  const bytes = memory.forecastBytes + promptCacheBytes(decoder, prompt.length, planned);
  await reportForecast(model, { multiplyAdds, bytes, budgetBytes }, sink);
  const { maxTokens, cuts } = request;
  sink({
    type: "experiment.started",
    experiment: id,
    kind: "generation",
    recipe: { maxTokens, cuts },
    branches: 0,
  });
  const series = seriesNames(request.cuts);
  const answers = new Map<number | undefined, number[]>();
  const decoding = (source: CleanSource) =>
    generate(
      model,
      prompt.embeddings,
      planned,
      {
        ...source,
        positions: prompt.positions,
        maxTokens: request.maxTokens,
        endTokenIds: model.spec.endTokenIds,
        maxRows: memory.maxRows,
        progress: (done, total) => sink({ type: "progress", phase: "generation", done, total }),
      },
      ({ branch, step, id: token, probability }) => {
        const ids = [...(answers.get(branch) ?? []), token];
        answers.set(branch, ids);
        sink({
          type: "generation.token",
          experiment: id,
          series: branch === undefined ? CLEAN_SERIES : (series[branch] ?? String(branch)),
          step,
          token: { id: token, token: prompt.tokenText(token), probability },
          text: decode(ids),
        });
      },
      settings.signal,
    );
  await passWithKept(prompt.clean, true, sink, decoding);
  sink({
    type: "experiment.finished",
    experiment: id,
    seconds: (performance.now() - started) / 1000,
  });
}

/**
 * The series of cuts, one for each: their names, with the layers where cuts share a name, and with a
 * number where they still do.
 */
export function seriesNames(cuts: readonly GenerationCut[]): string[] {
  const taken = new Set([CLEAN_SERIES]);
  const shared = (name: string) => cuts.filter((cut) => cut.name === name).length > 1;
  return cuts.map((cut) => {
    const { name } = cut;
    const layers = "layers" in cut ? `, layers ${cut.layers[0] + 1}-${cut.layers[1] + 1}` : "";
    const stem = shared(name) ? name + layers : name;
    let unique = stem;
    for (let again = 2; taken.has(unique); again++) unique = `${stem} (${again})`;
    taken.add(unique);
    return unique;
  });
}

function interventionsOf(cut: GenerationCut, context: ExperimentContext): Intervention[] {
  if ("pathways" in cut) return pathwayCuts(cut.pathways, context);
  const layers = layersIn(context, cut.layers);
  const edges =
    cut.from === CROSS_FRAME && cut.to === CROSS_FRAME
      ? crossFrameEdges(context)
      : [edgesBetween(context, cut.from, cut.to)];
  return edges.map((set) => ({ kind: "knockout", edges: set, layers }));
}
