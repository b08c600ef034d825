import type { RunEventOf } from "../../src/protocol/events.ts";
import type { ExperimentRequest } from "../../src/protocol/experiments/schemas.ts";
import type { AnalysisJob } from "../../src/protocol/requests.ts";

/** The job that a run was of, when it asked for no readings and these experiments. */
export function jobOfRun(
  { model, video, prompt }: RunEventOf<"run.started">,
  experiments: readonly ExperimentRequest[],
): AnalysisJob {
  return {
    model: model.folder,
    embedded: true,
    clip: { path: video.path },
    prompt: {
      question: prompt.question,
      options: prompt.options.map(({ text }) => text),
      answer: prompt.options[0]?.text,
      keywords: [],
    },
    observe: { lens: false, mass: false, attention: "none", headAveraged: true },
    experiments,
  };
}
