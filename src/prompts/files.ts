import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, parse, resolve } from "node:path";
import { InputError } from "../common/errors.ts";
import type { ClipQuestion } from "../protocol/prompt-item.ts";
import { type ParsedPromptFile, parsePromptFile } from "./parse.ts";
import type { PromptProblem, SourceRange } from "./problems.ts";
import { VideoFinder } from "./videos.ts";

/** The published lists have some hundred kilobytes; more is another kind of file. */
export const MAX_PROMPT_FILE_BYTES = 8 * 1024 * 1024;
/** Endings of our own prompt files, in the order in which they are looked for. */
export const PROMPT_FILE_ENDINGS: readonly string[] = [".vqa.yaml", ".vqa.yml", ".vqa.json"];
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
}

/**
 * Reads a prompt file and finds its clips.
 *
 * @param options.needVideos whether a missing clip is an error (default true); not when the clip is
 *   given otherwise, or when only some of a benchmark's clips are there.
 * @throws InputError with every error of the file, line by line, or why it cannot be read.
 */
export async function loadPromptFile(
  path: string,
  options: { readonly needVideos?: boolean } = {},
): Promise<LoadedQuestion[]> {
  const { questions, problems } = await checkPromptFile(path, await readText(path));
  const errors = problems.filter(
    ({ kind, severity }) =>
      severity === "error" && (kind !== "video-missing" || options.needVideos !== false),
  );
  if (errors.length > 0) throw new InputError(`${path}: ${listed(errors)}`);
  return questions;
}

/**
 * Checks a prompt file's text as the editor has it, its clips included: what diagnostics show.
 *
 * @param path where the file is (or will be): clips are looked for from there.
 */
export async function checkPromptFile(
  path: string,
  text: string,
): Promise<{ questions: LoadedQuestion[]; problems: PromptProblem[] }> {
  const parsed = parsePromptFile(text, path);
  const questions = await withVideos(parsed, path);
  const missing = questions.flatMap((question, i): PromptProblem[] => {
    const range = parsed.questions[i]?.videoRange;
    if (question.videoFound || range === undefined) return [];
    const message = `the video ${JSON.stringify(question.item.video)} is not there (${question.videoPath})`;
    return [{ kind: "video-missing", severity: "error", message, range }];
  });
  // A clip that the file names once for all its questions is missing once.
  const once = new Map(missing.map((problem) => [JSON.stringify(problem.range), problem]));
  return { questions, problems: [...parsed.problems, ...once.values()].sort(byPlace) };
}

async function withVideos(parsed: ParsedPromptFile, path: string): Promise<LoadedQuestion[]> {
  const finder = new VideoFinder(path, parsed.benchmark);
  const questions: LoadedQuestion[] = [];
  for (const { item, range } of parsed.questions) {
    const { path: videoPath, found: videoFound } = await finder.find(item.video);
    questions.push({ item, range, videoPath, videoFound });
  }
  return questions;
}

function byPlace(a: PromptProblem, b: PromptProblem): number {
  return a.range.startLine - b.range.startLine || a.range.startColumn - b.range.startColumn;
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_PROMPT_FILE_BYTES) {
      const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MB`;
      throw new InputError(
        `${path}: has ${megabytes(size)}; prompt files of up to ` +
          `${megabytes(MAX_PROMPT_FILE_BYTES)} are read`,
      );
    }
    return (await readFile(path, "utf8")).replace(/^\ufeff/, "");
  } catch (error) {
    if (error instanceof InputError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `cannot be read (${code})`;
    throw new InputError(`${path}: ${why}`);
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
 * be read are passed over, save the one of the clip's own name.
 */
export async function promptFileBeside(videoPath: string): Promise<string | undefined> {
  const video = resolve(videoPath);
  const folder = dirname(video);
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
    const text = await readText(path).catch(() => "");
    // Most files are settled without parsing them.
    if (!text.includes(basename(video))) continue;
    const { questions } = parsePromptFile(text, path);
    if (questions.some(({ item }) => resolve(folder, item.video) === video)) return path;
  }
  return undefined;
}
