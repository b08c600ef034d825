import type { RunEvent, RunEventOf } from "../protocol/events.ts";
import { gridInWords } from "../protocol/grid.ts";
import { foldRun } from "../runs/state.ts";

/** The clean run as `--json` prints it; layers count from 0. */
export function analysisReport(events: readonly RunEvent[], out: string): Record<string, unknown> {
  const started = only(events, "run.started");
  const answer = only(events, "answer");
  const { video } = started;
  return {
    model: started.model,
    video: video.path,
    frames: video.frames,
    featuresCached: video.featuresCached === true,
    prompt: started.prompt.text,
    tokens: Object.fromEntries(
      started.tokens.groups.map(({ name, spans }) => [
        name,
        spans.reduce((sum, [start, end]) => sum + end - start, 0),
      ]),
    ),
    answer: { token: answer.answer.token, probability: answer.answer.probability },
    groundTruth:
      answer.groundTruth === undefined
        ? null
        : { token: answer.groundTruth.token, probability: answer.groundTruth.probability },
    correct: answer.correct ?? null,
    answerByLayer: foldRun(events).layers.flatMap((read, layer) =>
      read === undefined
        ? []
        : [
            {
              layer,
              options: read.normed.options,
              rawOptions: read.raw.options,
              top: read.normed.top.map(({ token, probability }) => ({ token, probability })),
            },
          ],
    ),
    out,
  };
}

/** The one event of a type. */
export function only<T extends RunEvent["type"]>(
  events: readonly RunEvent[],
  type: T,
): RunEventOf<T> {
  const found = events.find((event): event is RunEventOf<T> => event.type === type);
  if (found === undefined) throw new Error(`the run has no ${type} event`);
  return found;
}

/** Prints the clean run while it happens: a row for each layer, counted from 1. */
export class LayerTable {
  readonly #print: (line: string) => void;
  #labels: readonly string[] = [];

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  take(event: RunEvent): void {
    if (event.type === "run.started") this.#head(event);
    else if (event.type === "layer.clean") this.#layer(event);
    else if (event.type === "answer") this.#answer(event);
    else if (event.type === "notice") this.#print(`note: ${event.message}`);
  }

  #head({ model, video, prompt, tokens }: RunEventOf<"run.started">): void {
    const indices = video.frames.map(({ index }) => index).join(", ");
    this.#print(`model     ${model.name}, ${model.family}, ${model.layers} layers`);
    this.#print(
      `video     ${video.path}, frames ${indices} of ${video.frameCount}${video.order === undefined ? "" : `, ${video.order}`}`,
    );
    if (video.featuresCached === true) {
      this.#print("features  of the frames known from an earlier run; read from the cache");
    }
    this.#print(`question  ${prompt.question}`);
    for (const { label, text } of prompt.options) {
      this.#print(`          (${label}) ${text}${label === prompt.answer ? "  <- right" : ""}`);
    }
    this.#print(`tokens    ${tokens.length} positions; video: ${gridInWords(tokens.grid)}`);
    this.#labels = prompt.options.map(({ label }) => label);
    const columnsOf = this.#labels.map((label) => `P(${label})`.padStart(8)).join("");
    this.#print("");
    this.#print(`layer ${columnsOf}  likeliest`);
  }

  #layer({ layer, normed }: RunEventOf<"layer.clean">): void {
    const probabilities = this.#labels
      .map((label) => (normed.options[label] ?? 0).toFixed(4).padStart(8))
      .join("");
    const top = normed.top
      .slice(0, 3)
      .map(({ token, probability }) => `${JSON.stringify(token)} ${probability.toFixed(3)}`)
      .join("  ");
    this.#print(`${String(layer + 1).padStart(5)} ${probabilities}  ${top}`);
  }

  #answer({ answer, groundTruth, correct }: RunEventOf<"answer">): void {
    const verdict =
      correct === undefined
        ? ""
        : correct
          ? "  right"
          : `  wrong; right is ${JSON.stringify(groundTruth?.token)} (${groundTruth?.probability.toFixed(4)})`;
    this.#print("");
    this.#print(
      `answer    ${JSON.stringify(answer.token)}, probability ${answer.probability.toFixed(4)}${verdict}`,
    );
  }
}
