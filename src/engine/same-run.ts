import { isDeepStrictEqual } from "node:util";
import { InputError } from "../common/errors.ts";
import type { RunEventOf } from "../protocol/events.ts";
import type { ContinuedRun } from "../protocol/requests.ts";

type Started = RunEventOf<"run.started">;

/** What products were computed in before runs said it. */
const OLD_PRECISION = "float32";

const OTHER_TOKENS = "other tokens of the prompt, or other groups of them";

/** How a prepared input compares with what a run was made of. */
export interface RunComparison {
  /** What is another, in words that follow "a run of …"; empty: the same input. */
  readonly differences: readonly string[];
  /** What the run's file does not say, so that it could not be compared. */
  readonly unknown: readonly string[];
}

/**
 * Compares the input of a run, as its file holds it, with one that was prepared just now: the model's
 * weights and configuration, its precision, the frames and their pixels, the prompt and its tokens.
 * Paths count only where an older file says nothing better.
 */
export function compareRuns(recorded: Started, prepared: Started): RunComparison {
  const differences: string[] = [];
  const unknown: string[] = [];
  compareModels(recorded.model, prepared.model, differences, unknown);
  compareClips(recorded.video, prepared.video, differences, unknown);
  comparePrompts(recorded, prepared, differences);
  // Other frames, or another model, come with other tokens.
  const same = isDeepStrictEqual(tokensOf(recorded), tokensOf(prepared));
  if (differences.length === 0 && !same) differences.push(OTHER_TOKENS);
  return { differences, unknown };
}

function compareModels(
  before: Started["model"],
  now: Started["model"],
  differences: string[],
  unknown: string[],
): void {
  const sizes = ({ family, layers, heads, kvHeads, hiddenSize, vocabSize, dtype }: typeof now) =>
    [family, layers, heads, kvHeads, hiddenSize, vocabSize, dtype] as const;
  const other = !isDeepStrictEqual(sizes(before), sizes(now));
  if (before.identity === undefined || now.identity === undefined) {
    if (other || before.folder !== now.folder) differences.push(`another model (${before.folder})`);
    else unknown.push("the model's weights");
  } else if (other) {
    differences.push(`another model (${before.name}, ${before.family}, ${before.layers} layers)`);
  } else if (before.identity.weights !== now.identity.weights) {
    differences.push(
      before.folder === now.folder
        ? `other weights or another configuration of the model: ${now.folder} has changed since`
        : `another model (${before.folder})`,
    );
  } else if (!now.identity.whole && before.identity.files !== now.identity.files) {
    unknown.push("every value of the model's weights (their files were written anew since)");
  }
  const precision = before.precision ?? OLD_PRECISION;
  if (now.precision !== undefined && now.precision !== precision) {
    differences.push(`another precision (${precision}; now ${now.precision})`);
  }
}

function compareClips(
  before: Started["video"],
  now: Started["video"],
  differences: string[],
  unknown: string[],
): void {
  const seen = differences.length;
  const samePixels =
    before.pixels === undefined || now.pixels === undefined
      ? undefined
      : before.pixels === now.pixels;
  if (before.path !== now.path && samePixels !== true)
    differences.push(`another video (${before.path})`);
  const indices = ({ frames }: typeof now) => frames.map(({ index }) => index);
  if (before.frames.length !== now.frames.length) {
    differences.push(
      `another number of frames (${before.frames.length}; now ${now.frames.length})`,
    );
  }
  if (before.start !== now.start || before.end !== now.end)
    differences.push("another part of the video");
  if (before.order !== now.order) {
    differences.push(`another order of frames (${before.order ?? "as filmed"})`);
  }
  if (differences.length > seen) return;
  if (!isDeepStrictEqual(indices(before), indices(now))) {
    differences.push(`another choice of frames (${indices(before).join(", ")})`);
  } else if (samePixels === false || (samePixels === undefined && !isSameFile(before, now))) {
    differences.push(`other pictures: what ${now.path} shows has changed since`);
  } else if (samePixels === undefined) {
    unknown.push("the frames' pixels");
  }
}

/** What an older file says of the clip besides its frames. */
function isSameFile(before: Started["video"], now: Started["video"]): boolean {
  const { width, height, frameCount, fps, codec } = now;
  return isDeepStrictEqual(
    [before.width, before.height, before.frameCount, before.fps, before.codec],
    [width, height, frameCount, fps, codec],
  );
}

function comparePrompts(before: Started, now: Started, differences: string[]): void {
  const asked = ({ prompt: { question, options, answer, keywords } }: Started) => ({
    question,
    options,
    // A file has no key where there is no answer.
    answer: answer ?? null,
    keywords,
  });
  if (!isDeepStrictEqual(asked(before), asked(now))) {
    differences.push(`another question (${JSON.stringify(before.prompt.question)})`);
  } else if (before.prompt.text !== now.prompt.text) {
    differences.push(
      before.prompt.template === now.prompt.template
        ? `another prompt text (${excerpt(before.prompt.text)})`
        : `another prompt template (${excerpt(before.prompt.template)})`,
    );
  }
}

/** The tokens as a file gives them back: without keys that are undefined. */
function tokensOf({ tokens }: Started): unknown {
  return JSON.parse(JSON.stringify(tokens));
}

/** Longest part of a prompt that a message shows. */
const MAX_EXCERPT = 120;

function excerpt(text: string): string {
  return JSON.stringify(text.length > MAX_EXCERPT ? `${text.slice(0, MAX_EXCERPT)}…` : text);
}

/**
 * Sees to it that a prepared input is what the run that it continues was made of.
 *
 * @returns a remark for the user where the run's file says too little; else undefined.
 * @throws InputError naming what differs.
 */
export function requireSameRun(
  { file, started }: ContinuedRun,
  prepared: Started,
): string | undefined {
  const { differences, unknown } = compareRuns(started, prepared);
  if (differences.length > 0) {
    throw new InputError(
      `${file}: exists already, and it is a run of ${differences.join(", and of ")}; ` +
        "choose another file (--out), or analyze the clip anew",
    );
  }
  if (unknown.length === 0) return undefined;
  return `${file}: could not compare ${unknown.join(" and ")} with those of the run that is continued`;
}
