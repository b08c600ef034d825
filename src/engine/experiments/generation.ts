import type { EventSink } from "../../runs/events.ts";
import type { ExperimentRequest } from "../jobs.ts";
import type { OpenModel } from "../runtime/model.ts";
import { generate } from "../trace/generate.ts";
import { planMemory } from "../trace/memory.ts";
import { planBranches } from "../trace/plan.ts";
import { crossFrameEdges, edgesBetween } from "./knockout.ts";
import { layersIn, type Subject } from "./plan.ts";
import type { PassSettings, PreparedPrompt } from "./run.ts";

/** Name of the uncut run among the series of a generation. */
export const CLEAN_SERIES = "clean";

/**
 * Greedy decoding, clean and under each cut, told token by token. A cut from `cross-frame` to
 * `cross-frame` cuts every frame off the frames before it; others go from group to group.
 *
 * @param decode ids to text, the whole answer at once.
 */
export async function runGeneration(
  model: OpenModel,
  prompt: Pick<PreparedPrompt, "embeddings" | "length" | "tokenText">,
  subject: Subject,
  request: Extract<ExperimentRequest, { kind: "generation" }>,
  id: string,
  decode: (ids: readonly number[]) => string,
  settings: PassSettings,
  sink: EventSink,
): Promise<void> {
  const started = performance.now();
  const branches = request.cuts.map(({ from, to, layers }) => {
    const edges =
      from === "cross-frame" ? crossFrameEdges(subject) : [edgesBetween(subject, from, to)];
    const chosen = layersIn(subject, layers);
    return {
      interventions: edges.map((set) => ({ kind: "block" as const, edges: set, layers: chosen })),
    };
  });
  const { decoder } = model.spec;
  const planned = planBranches(branches, prompt.length, decoder.layers.length);
  const memory = planMemory(decoder, prompt.length, planned, settings.memoryBudgetBytes);
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
