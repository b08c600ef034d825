import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, parse, resolve } from "node:path";
import { InputError } from "../common/errors.ts";
import { cutText } from "../common/shown.ts";
import { decodeText, TextDecodingError } from "../common/text.ts";
import type { ClipQuestion } from "../protocol/prompt-item.ts";
import { PROMPT_FILE_ENDINGS } from "./names.ts";
import { type ParsedPromptFile, parsePromptFile } from "./parse.ts";
import {
  LineMap,
  MAX_PROBLEM_CHARACTERS,
  type PromptProblem,
  type SourceRange,
} from "./problems.ts";
import { isSameFile, realPath } from "./same-file.ts";
import { VideoFinder } from "./videos.ts";

/** The published lists have some hundred kilobytes; more is another kind of file. */
export const MAX_PROMPT_FILE_BYTES = 8 * 1024 * 1024;
/** Prompt files of a folder that are opened to find one that mentions a clip. */
const MAX_FILES_LOOKED_INTO = 200;
/** Problems listed in one message. */
const MAX_PROBLEMS_SHOWN = 20;

/** A question of a file on disk, with its clip's place. */
export interface LoadedQuestion {
  readonly item: ClipQuestion;
  readonly range: SourceRange;
  /** The clip, absolute. */
  readonly videoPath: string;
  readonly videoFound: boolean;
  /** Why the clip is not there; only when it is not. */
  readonly videoProblem?: string | undefined;
}

/**
 * Reads a prompt file and finds its clips.
 *
 * @param options.needVideos whether a missing clip is an error (default true); not when the clip is
 *   given otherwise, or when only some of a benchmark's clips are there.
 * @param options.note receives the file's warnings, in one message.
 * @throws InputError with every error of the file, line by line, or why it cannot be read.
 */
export async function loadPromptFile(
  path: string,
  options: { readonly needVideos?: boolean; readonly note?: (message: string) => void } = {},
): Promise<LoadedQuestion[]> {
  const text = await readPromptText(path);
  const { questions, problems } = await checkPromptFile(path, text, { mayReachOut: true });
  const errors = problems.filter(
    ({ kind, severity }) =>
      severity === "error" && (kind !== "video-missing" || options.needVideos !== false),
  );
  if (errors.length > 0) throw new InputError(`${path}: ${listed(errors)}`);
  const warnings = problems.filter(({ severity }) => severity === "warning");
  if (warnings.length > 0) options.note?.(`${path}: ${listed(warnings)}`);
  return questions;
}

/**
 * Checks a prompt file's text as the editor has it, its clips included: what diagnostics show.
 *
 * @param path where the file is (or will be): clips are looked for from there.
 * @param options.mayReachOut whether clips on other computers are looked for: not for a file that was
 *   merely opened. They count as found then.
 */
export async function checkPromptFile(
  path: string,
  text: string,
  options: { readonly mayReachOut?: boolean } = {},
): Promise<{ questions: LoadedQuestion[]; problems: PromptProblem[] }> {
  const parsed = parsePromptFile(text, path);
  const questions = await withVideos(parsed, path, options.mayReachOut === true);
  const missing = questions.flatMap((question, i): PromptProblem[] => {
    const range = parsed.questions[i]?.videoRange;
    const message = question.videoProblem;
    if (message === undefined || range === undefined) return [];
    return [
      {
        kind: "video-missing",
        severity: "error",
        message: cutText(message, MAX_PROBLEM_CHARACTERS),
        range,
      },
    ];
  });
  // A clip that the file names once for all its questions is missing once.
  const once = new Map(missing.map((problem) => [JSON.stringify(problem.range), problem]));
  const lost = await lostCharacters(path, text);
  return { questions, problems: [...parsed.problems, ...once.values(), ...lost].sort(byPlace) };
}

/**
 * The places of U+FFFD, which stands for bytes that were no character. An editor puts it where it
 * read a file in another encoding than the file has: then no question may be asked as it is shown.
 */
async function lostCharacters(path: string, text: string): Promise<PromptProblem[]> {
  const at = text.indexOf("\ufffd");
  if (at < 0) return [];
  const onDisk = await readPromptText(path).catch((error: Error) => error);
  const misread = onDisk instanceof PromptEncodingError;
  const message = misread
    ? `this file ${onDisk.reason}`
    : "this character (U+FFFD) stands for one that was lost before the file was saved";
  const range = new LineMap(text).range({ start: at, end: at + 1 });
  const severity = misread ? "error" : "warning";
  return [{ kind: "lost-character", severity, message, range }];
}

async function withVideos(
  parsed: ParsedPromptFile,
  path: string,
  mayReachOut: boolean,
): Promise<LoadedQuestion[]> {
  const finder = new VideoFinder(path, parsed.benchmark, mayReachOut);
  const questions: LoadedQuestion[] = [];
  for (const { item, range } of parsed.questions) {
    const { path: videoPath, found: videoFound, problem } = await finder.find(item.video);
    const why = problem === undefined ? "" : `: ${problem}`;
    const videoProblem = videoFound
      ? undefined
      : `the video ${JSON.stringify(item.video)} is not there (${videoPath})${why}`;
    questions.push({ item, range, videoPath, videoFound, videoProblem });
  }
  return questions;
}

function byPlace(a: PromptProblem, b: PromptProblem): number {
  return a.range.startLine - b.range.startLine || a.range.startColumn - b.range.startColumn;
}

/** A prompt file whose bytes are not in the encoding that it has by its mark or its own word. */
export class PromptEncodingError extends InputError {
  /** What is wrong, to be said after the file's name. */
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.reason = reason;
  }
}

/** A comment in one of the first two lines that names the file's encoding ("# coding: gbk"). */
const DECLARED = /^(?:[^\n]*\n)?[ \t]*#[^\n]*?coding[:=][ \t]*([-\w.]+)/;

/**
 * The text of a prompt file on disk: UTF-8, or what its byte-order mark or a comment in its first two
 * lines says.
 *
 * @throws InputError when the file cannot be read, is too large, or is in another encoding.
 */
export async function readPromptText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    const found = await stat(path);
    if (found.size > MAX_PROMPT_FILE_BYTES) {
      const megabytes = (size: number) => `${(size / 1024 / 1024).toFixed(0)} MB`;
      throw new InputError(
        `${path}: has ${megabytes(found.size)}; prompt files of up to ` +
          `${megabytes(MAX_PROMPT_FILE_BYTES)} are read`,
      );
    }
    // A pipe or a device may never end.
    if (!found.isFile() && !found.isDirectory())
      throw new InputError(`${path}: is no regular file`);
    bytes = await readFile(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `cannot be read (${code})`;
    throw new InputError(`${path}: ${why}`);
  }
  // The declaration itself is ASCII in every encoding that could be declared.
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 1000));
  try {
    return decodeText(bytes, DECLARED.exec(start)?.[1]);
  } catch (error) {
    if (error instanceof TextDecodingError) throw new PromptEncodingError(path, error.message);
    throw error;
  }
}

function listed(problems: readonly PromptProblem[]): string {
  const lines = problems
    .slice(0, MAX_PROBLEMS_SHOWN)
    .map(({ message, range }) => `line ${range.startLine + 1}: ${message}`);
  const [only] = lines;
  if (problems.length === 1 && only !== undefined) return only;
  const more = problems.length - lines.length;
  if (more > 0) lines.push(`and ${more} more`);
  return `${problems.length} problems\n  ${lines.join("\n  ")}`;
}

/**
 * The prompt file that belongs to a clip: the one of the same name beside it, or else the first (by
 * name) in its folder that has a question about it; undefined when there is none. Files that cannot
 * be read are passed over, save the one of the clip's own name. A clip given through a symbolic link
 * has the prompt file beside the link, or else the one beside its target.
 */
export async function promptFileBeside(videoPath: string): Promise<string | undefined> {
  const video = resolve(videoPath);
  const beside = await promptFileIn(dirname(video), video);
  const target = realPath(video);
  return beside ?? (target === video ? undefined : promptFileIn(dirname(target), target));
}

async function promptFileIn(folder: string, video: string): Promise<string | undefined> {
  const names = (await readdir(folder).catch(() => [])).sort();
  for (const ending of PROMPT_FILE_ENDINGS) {
    // A folder of images has no ending to take off.
    for (const stem of [parse(video).name, basename(video)]) {
      if (names.includes(stem + ending)) return join(folder, stem + ending);
    }
  }
  const others = names.filter((name) =>
    PROMPT_FILE_ENDINGS.some((ending) => name.endsWith(ending)),
  );
  for (const name of others.slice(0, MAX_FILES_LOOKED_INTO)) {
    const path = join(folder, name);
    const text = await readPromptText(path).catch(() => "");
    // Most files are settled without parsing them.
    if (!text.includes(basename(video)) && !text.includes(basename(realPath(video)))) continue;
    const { questions } = parsePromptFile(text, path);
    if (questions.some(({ item }) => isSameFile(resolve(folder, item.video), video))) return path;
  }
  return undefined;
}
