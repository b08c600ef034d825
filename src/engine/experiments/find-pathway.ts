import { InputError } from "../../common/errors.ts";
import type { RunEventOf } from "../../protocol/events.ts";
import type { KeptRanges } from "../../protocol/experiments/schemas.ts";
import { keepsAnswer, namedRanges, PATHWAY_SERIES, TRIED_SERIES } from "../../protocol/pathways.ts";
import { KEEP_SHARES, type SearchRequest } from "../../protocol/presets.ts";
import type { DecoderSpec } from "../families/shared/spec.ts";
import { forecastPasses, type PassForecast } from "../trace/memory.ts";
import { reportForecast } from "./forecast.ts";
import { type JudgedPathway, searchPathway } from "./pathway-search.ts";
import { PathwaySpace } from "./pathway-space.ts";
import { type ExperimentContext, type ExperimentPoint, planPoints } from "./plan.ts";
import { type RunAlone, type RunParts, runExperiments } from "./run.ts";

type Result = RunEventOf<"branch.result">;

/**
 * Works a search out as far as it can be beforehand.
 *
 * @throws InputError when the request makes no sense, or the prompt has no pathways.
 */
export function planSearch(request: SearchRequest, context: ExperimentContext): RunAlone {
  const { keepShare, maxCandidates } = request;
  if (!(keepShare >= KEEP_SHARES.min && keepShare <= KEEP_SHARES.max)) {
    throw new InputError(
      `the share of the probability to keep is ${keepShare}; it can be from ${KEEP_SHARES.min} to ${KEEP_SHARES.max}`,
    );
  }
  if (!Number.isInteger(maxCandidates) || maxCandidates < 1) {
    throw new InputError(`${maxCandidates} pathways cannot be tried; at least one is needed`);
  }
  const space = new PathwaySpace(context);
  return {
    forecast: (decoder, length, budgetBytes) =>
      forecastSearch(decoder, space, maxCandidates, length, budgetBytes),
    run: (id, parts) => runSearch(id, request, space, parts),
  };
}

/** What a search needs when it tries as many pathways as it may, each cut from the first layer on. */
function forecastSearch(
  decoder: DecoderSpec,
  space: PathwaySpace,
  candidates: number,
  length: number,
  budgetBytes: number,
): PassForecast {
  const planned = planPoints([space.point({}, TRIED_SERIES)], length, decoder.layers.length);
  const all = Array.from({ length: candidates }, () => planned).flat();
  return forecastPasses(decoder, length, all, budgetBytes);
}

/**
 * Searches for the smallest pathway that keeps the answer. Every pathway tried is told as a
 * `branch.result` as soon as its pass is through; what is found is run once more, alone with its
 * random control, and told as `pathway.found`.
 *
 * @throws CancelledError when stopped; what was tried has been told by then.
 */
async function runSearch(
  experiment: string,
  request: SearchRequest,
  space: PathwaySpace,
  { model, prompt, settings, sink }: RunParts,
): Promise<void> {
  const started = performance.now();
  const { keepShare, maxCandidates, randomSeed } = request;
  const { decoder } = model.spec;
  const budgetBytes = settings.memoryBudgetBytes;
  const { multiplyAdds, memory } = forecastSearch(
    decoder,
    space,
    maxCandidates,
    prompt.length,
    budgetBytes,
  );
  const bytes = memory.forecastBytes;
  await reportForecast(model, { multiplyAdds, bytes, budgetBytes, bound: "at most about" }, sink);
  const recorded = {
    kind: request.kind,
    recipe: { keepShare, maxCandidates, randomSeed },
  } as const;
  sink({ type: "experiment.started", experiment, ...recorded, branches: maxCandidates + 2 });
  let tried = 0;
  const run = async (points: readonly ExperimentPoint[]) => {
    const results: Result[] = [];
    const part = { id: experiment, plan: { recorded, points, notices: [] } };
    // The search is one experiment to whoever reads the run: its passes tell their results alone.
    await runExperiments(model, prompt, undefined, [part], settings, (event) => {
      if (event.type === "progress") {
        const done = Math.min(tried + Math.floor(event.done * points.length), maxCandidates);
        sink({ type: "progress", phase: event.phase, done, total: maxCandidates });
      } else if (event.type === "branch.result") {
        results.push(event);
        sink(event);
      }
    });
    return results;
  };
  const judge = (kept: KeptRanges, result: Result): JudgedPathway => ({
    kept,
    edgesLeft: result.edges_left ?? space.edgesLeft(kept),
    share: result.new_score / result.base_score,
    keeps: keepsAnswer(result, keepShare),
  });
  const { keeping, ended } = await searchPathway(
    { layers: decoder.layers.length, edgesLeft: (kept) => space.edgesLeft(kept) },
    maxCandidates,
    async (candidates) => {
      const results = await run(
        candidates.map((kept) => ({
          ...space.point(kept, TRIED_SERIES),
          detail: namedRanges(kept),
        })),
      );
      tried += candidates.length;
      return results.flatMap((result, i) => judge(candidates[i] ?? {}, result));
    },
  );
  let found: RunEventOf<"pathway.found">["found"] = null;
  for (const { kept, edgesLeft } of keeping) {
    const point = { ...space.point(kept, PATHWAY_SERIES), detail: namedRanges(kept) };
    const points: ExperimentPoint[] = [point];
    if (randomSeed !== undefined) points.push(space.control(kept, randomSeed));
    const [again] = await run(points);
    // In another company of branches, rounding may decide on which side of the bound it falls.
    if (again === undefined || !keepsAnswer(again, keepShare)) continue;
    found = { ...namedRanges(kept), edgesLeft, probability: again.new_score };
    break;
  }
  sink({ type: "pathway.found", experiment, found, tried, ended });
  sink({
    type: "experiment.finished",
    experiment,
    seconds: (performance.now() - started) / 1000,
  });
}
