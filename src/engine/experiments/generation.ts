import type { EventSink } from "../../protocol/events.ts";
import type { ExperimentRequest, GenerationCut } from "../../protocol/requests.ts";
import type { OpenModel } from "../runtime/model.ts";
import { generate } from "../trace/generate.ts";
import type { Intervention } from "../trace/interventions.ts";
import { forecastPasses, promptCacheBytes } from "../trace/memory.ts";
import { planBranches } from "../trace/plan.ts";
import { tellForecast } from "./forecast.ts";
import { crossFrameEdges, edgesBetween } from "./knockout.ts";
import { pathwayCuts } from "./pathways.ts";
import { layersIn, type Subject } from "./plan.ts";
import type { PassSettings, PreparedPrompt } from "./run.ts";

/** Stands for all frames, as the group that cross-frame edges go from and to. */
const CROSS_FRAME = "cross-frame";

/** Name of the uncut run among the series of a generation. */
export const CLEAN_SERIES = "clean";

/**
 * Greedy decoding, clean and under each cut, told token by token.
 *
 * @param decode ids to text, the whole answer at once.
 */
export async function runGeneration(
  model: OpenModel,
  prompt: Pick<PreparedPrompt, "embeddings" | "positions" | "length" | "tokenText">,
  subject: Subject,
  request: Extract<ExperimentRequest, { kind: "generation" }>,
  id: string,
  decode: (ids: readonly number[]) => string,
  settings: PassSettings,
  sink: EventSink,
): Promise<void> {
  const started = performance.now();
  const branches = request.cuts.map((cut) => ({ interventions: interventionsOf(cut, subject) }));
  const { decoder } = model.spec;
  const planned = planBranches(branches, prompt.length, decoder.layers.length, () => [
    prompt.length - 1,
  ]);
  const budgetBytes = settings.memoryBudgetBytes;
  const { memory, multiplyAdds } = forecastPasses(decoder, prompt.length, planned, budgetBytes);
  const bytes = memory.forecastBytes + promptCacheBytes(decoder, prompt.length, planned);
  // The prompt's own passes; the steps after them are not counted.
  await tellForecast(model, { multiplyAdds, bytes, budgetBytes }, sink);
  sink({
    type: "experiment.started",
    experiment: id,
    kind: "generation",
    recipe: { maxTokens: request.maxTokens, cuts: request.cuts },
    branches: 0,
  });
  const answers = new Map<string, number[]>();
  await generate(
    model,
    prompt.embeddings,
    planned,
    {
      positions: prompt.positions,
      maxTokens: request.maxTokens,
      endTokenIds: model.spec.endTokenIds,
      maxRows: memory.maxRows,
      progress: (done, total) => sink({ type: "progress", phase: "generation", done, total }),
    },
    ({ branch, step, id: token, probability }) => {
      const series =
        branch === undefined ? CLEAN_SERIES : (request.cuts[branch]?.name ?? String(branch));
      const ids = [...(answers.get(series) ?? []), token];
      answers.set(series, ids);
      sink({
        type: "generation.token",
        experiment: id,
        series,
        step,
        token: { id: token, token: prompt.tokenText(token), probability },
        text: decode(ids),
      });
    },
    settings.signal,
  );
  sink({
    type: "experiment.finished",
    experiment: id,
    seconds: (performance.now() - started) / 1000,
  });
}

function interventionsOf(cut: GenerationCut, subject: Subject): Intervention[] {
  if ("pathways" in cut) return pathwayCuts(cut.pathways, subject);
  const layers = layersIn(subject, cut.layers);
  const edges =
    cut.from === CROSS_FRAME && cut.to === CROSS_FRAME
      ? crossFrameEdges(subject)
      : [edgesBetween(subject, cut.from, cut.to)];
  return edges.map((set) => ({ kind: "block", edges: set, layers }));
}
