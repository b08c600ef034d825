import * as z from "zod";
import { MAX_FRAMES, MAX_RATE } from "../video/frame-indices.ts";
import { MAX_OPTIONS } from "./words.ts";

/** YAML reads an unquoted 3 or true as a number or a truth value; both stand for their text. */
const word = z.union([z.string(), z.number(), z.boolean()]);
const nonBlank = (what: string) => z.string().regex(/\S/, `${what} must not be empty`);

const rate = z.number().gt(0).max(MAX_RATE).optional();

const sampling = {
  frames: z
    .int()
    .min(1)
    .max(MAX_FRAMES)
    .optional()
    .describe("How many frames to sample; default: as the model says."),
  start: z.number().min(0).optional().describe("Where the part to look at begins, in seconds."),
  end: z.number().min(0).optional().describe("Where the part to look at ends, in seconds."),
  fps: rate.describe(
    "Frames per second of a folder of images, which start and end need; a video file has its own.",
  ),
  template: nonBlank("template")
    .optional()
    .describe(
      "Name of a prompt template (pllava; chat, the model's own), or a text with {video}, {question} and, if wanted, {system}.",
    ),
};

const video = nonBlank("video").describe(
  "The clip: a video file or a folder of images, relative to this file.",
);

/** What is asked: the same in every form of file. */
const asked = {
  id: word.optional().describe("Name of the question: FILE#id chooses it. Unique in the file."),
  task: z.string().optional().describe("Kind of question, for grouping results."),
  question: nonBlank("question").describe("The question, without its options."),
  options: z
    .array(word)
    .max(MAX_OPTIONS)
    .optional()
    .describe("The options' texts, without labels; leave out for an open-ended question."),
  answer: word
    .optional()
    .describe("The right answer: the text of one of the options, or the right words."),
  keywords: z
    .array(word)
    .optional()
    .describe("Words of the question or its options to follow through the layers."),
  ...sampling,
};

/** A question of a file that names its clip once. */
export const questionSchema = z.object({ video: video.optional(), ...asked });

/** A question that names its own clip. */
export const clipQuestionSchema = z.object({ video, ...asked });

/** A record of a TVBench or MVBench list, as published; its other keys are left alone. */
export const benchmarkSchema = z.object({
  video,
  question: nonBlank("question"),
  candidates: z.array(word).min(1).max(MAX_OPTIONS),
  answer: word,
  start: z.number().min(0).optional(),
  end: z.number().min(0).optional(),
  fps: rate,
});

/** A file that names its clip once, with several questions about it. */
export const clipFileSchema = z.object({
  video,
  ...sampling,
  questions: z.array(questionSchema).min(1).describe("The questions about the clip."),
});

/** A file of questions, each with its own clip, and settings for all. */
export const mixedFileSchema = z.object({
  ...sampling,
  questions: z.array(clipQuestionSchema).min(1).describe("The questions, each with its clip."),
});

/** Any prompt file. */
export const promptFileSchema = z
  .union([
    clipFileSchema,
    mixedFileSchema,
    clipQuestionSchema,
    // A record with candidates is the benchmarks' kind, and must be a whole one.
    z
      .array(
        z.union([clipQuestionSchema.extend({ candidates: z.never().optional() }), benchmarkSchema]),
      )
      .min(1),
  ])
  .meta({
    title: "Flowprobe prompt file",
    description: "Questions about video clips: *.vqa.yaml, *.vqa.json, or a benchmark's list.",
  });

/** The JSON schema that editors complete and validate with: schemas/vqa.schema.json. */
export function promptFileJsonSchema(): Record<string, unknown> {
  const made = z.toJSONSchema(promptFileSchema, { target: "draft-7", io: "input" });
  return { ...made };
}

/** Keys of a question in a file of ours. */
export const QUESTION_KEYS: readonly string[] = Object.keys(questionSchema.shape);
/** Keys of a file with `questions`. */
export const FILE_KEYS: readonly string[] = Object.keys(clipFileSchema.shape);

/** What a key must hold, in words for a message. */
export const NEEDED: Readonly<Record<string, string>> = {
  video: "the path of a video file or a folder of images",
  questions: "a list of at least one question",
  id: "a text",
  task: "a text",
  question: "a text",
  options: `a list of up to ${MAX_OPTIONS} texts`,
  candidates: `a list of 1 to ${MAX_OPTIONS} texts`,
  answer: "a text",
  keywords: "a list of texts",
  frames: `a whole number from 1 to ${MAX_FRAMES}`,
  start: "a number of seconds from 0",
  end: "a number of seconds from 0",
  fps: `a number above 0, at most ${MAX_RATE}`,
  template: "a template's name or text",
};
