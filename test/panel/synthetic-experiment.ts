import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import type { Recorded } from "../../src/protocol/experiments/list.ts";
import type { ExperimentRequest, LayerRange } from "../../src/protocol/experiments/schemas.ts";

/** What a run already says that an experiment's made-up results are built upon. */
export interface Known {
  readonly started: RunEventOf<"run.started">;
  readonly answer: RunEventOf<"answer">;
  readonly layers: readonly RunEventOf<"layer.clean">[];
}

type Result = RunEventOf<"branch.result">;

/** The clean layers again, their attention turned round: as easy to check as it is to see. */
function observed(series: string, experiment: string, known: Known): RunEvent[] {
  return known.layers.map(({ layer, normed, raw, attention }) => ({
    type: "layer.branch",
    experiment,
    series,
    layer,
    normed,
    raw,
    ...(attention === undefined
      ? {}
      : {
          attention: {
            ...attention,
            weights: { ...attention.weights, data: attention.weights.data.toReversed() },
          },
        }),
  }));
}

/** Made-up but valid events for an experiment asked for in the panel. */
export function syntheticExperiment(
  request: ExperimentRequest,
  experiment: string,
  known: Known,
): RunEvent[] {
  const { layers } = known.started.model;
  const base = known.answer.answer.probability;
  const result = (series: string, kept: number, more: Partial<Result> = {}): Result => {
    const score = base * kept;
    return {
      type: "branch.result",
      experiment,
      series,
      layer: 0,
      window: [[0, layers]],
      base_score: base,
      new_score: score,
      relative_diff: 100 * (kept - 1),
      gt_score: null,
      new_score_gt: null,
      relative_diff_gt: null,
      base_answer: known.answer.answer.token,
      new_answer: kept < 0.4 ? "D" : known.answer.answer.token,
      options: { A: score, B: 0.1 * (1 - score), C: 0.2 * (1 - score), D: 0.7 * (1 - score) },
      ...more,
    };
  };
  const wrap = (recorded: Recorded, results: RunEvent[]): RunEvent[] => [
    { type: "experiment.started", experiment, ...recorded, branches: results.length },
    ...results,
    { type: "experiment.finished", experiment, seconds: 0.2 },
  ];
  switch (request.kind) {
    case "pathways": {
      const share = (range: LayerRange | undefined) =>
        range === undefined ? 0 : (range[1] - range[0] + 1) / layers;
      const { crossFrame, videoToQuestion, questionToLast, randomSeed } = request;
      const shares = [crossFrame, videoToQuestion, questionToLast].map(share);
      const edges = 0.1 + 0.3 * shares.reduce((a, b) => a + b, 0);
      const kept = Math.min(...shares) > 0 ? 0.6 + 0.4 * edges : 0.2 * edges;
      const recipe = { crossFrame, videoToQuestion, questionToLast, randomSeed, edgesLeft: edges };
      return wrap({ kind: "pathways", recipe }, [
        result("Effective pathways", kept, { edges_left: edges }),
        result("Random edges", edges * 0.5, { edges_left: edges }),
      ]);
    }
    case "pathway-search": {
      const { keepShare, maxCandidates, randomSeed } = request;
      const all: [number, number] = [0, layers - 1];
      const tried = Array.from({ length: layers }, (_, cut) => ({
        crossFrame: cut > layers / 2 ? null : ([cut, layers - 1] as [number, number]),
        videoToQuestion: [0, layers - 1 - Math.floor(cut / 2)] as [number, number],
        questionToLast: cut % 3 === 2 ? null : all,
      }));
      const edgesOf = (cut: number) => 1 - (0.6 * (cut + 1)) / layers;
      const keptOf = (cut: number) => (cut % 3 === 2 ? 0.3 : 1 - 0.4 * (cut / layers) ** 2);
      const best = tried.findLastIndex((_, cut) => keptOf(cut) >= keepShare);
      const found = tried[best] ?? null;
      const results: RunEvent[] = tried.map((detail, cut) =>
        result("Pathways tried", keptOf(cut), { edges_left: edgesOf(cut), detail }),
      );
      if (found !== null) {
        const edges_left = edgesOf(best);
        results.push(
          result("Effective pathways", keptOf(best), { edges_left, detail: found }),
          result("Random edges", 0.2, { edges_left }),
        );
      }
      return wrap({ kind: "pathway-search", recipe: { keepShare, maxCandidates, randomSeed } }, [
        ...results,
        {
          type: "pathway.found",
          experiment,
          found:
            found === null
              ? null
              : { ...found, edgesLeft: edgesOf(best), probability: base * keptOf(best) },
          tried: tried.length,
          ended: "local",
        },
      ]);
    }
    case "what-if": {
      const [first, last] = request.layers;
      const { name, from, to, heads } = request;
      const recipe = { name, from, to, layers: request.layers, heads };
      return wrap({ kind: "what-if", recipe }, [
        ...(request.observe === undefined ? [] : observed(name, experiment, known)),
        result(name, 1 - (0.9 * (last - first + 1)) / layers, { window: [[first, last + 1]] }),
      ]);
    }
    case "heads": {
      const { from, to, window } = request;
      const layer = request.layers?.[0] ?? 0;
      return wrap(
        { kind: "heads", recipe: { from, to, window, centres: [[layer, layer + 1]] } },
        Array.from({ length: known.started.model.heads }, (_, head) =>
          result(`${from} -/-> ${to}, head ${head + 1}`, 1 - 0.05 * head, {
            layer,
            window: [[layer, layer + 1]],
            detail: { head },
          }),
        ),
      );
    }
    case "generation": {
      const words = "The purple circle moves up and leaves .".split(" ");
      return wrap(
        { kind: "generation", recipe: { maxTokens: request.maxTokens, cuts: request.cuts } },
        ["clean", ...request.cuts.map(({ name }) => name)].flatMap((series, s) =>
          words.map(
            (word, step): RunEvent => ({
              type: "generation.token",
              experiment,
              series,
              step,
              token: {
                id: 300 + step + (s > 0 && step === 4 ? 50 : 0),
                token: ` ${s > 0 && step === 4 ? "down" : word}`,
                probability: 0.95 - 0.08 * step,
              },
              text: words.slice(0, step + 1).join(" "),
            }),
          ),
        ),
      );
    }
    default:
      throw new Error(`the panel does not ask for ${request.kind}`);
  }
}
