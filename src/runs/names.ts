import { basename, extname, join } from "node:path";

/** Suffix of run files. */
export const RUN_FILE_SUFFIX = ".flow.jsonl";

/** Longest part of a file name that comes from a clip's or a question's name. */
const MAX_PART = 80;

/** A text as a part of a file name: letters, digits, dashes and underscores of any language. */
export function fileNamePart(text: string): string {
  const plain = text.replace(/[^\p{L}\p{N}_]+/gu, "-").replace(/^-+|-+$/g, "");
  return plain.slice(0, MAX_PART) || "run";
}

/** Local time as `20261124-153012`. */
export function timeStamp(now: Date): string {
  const digits = (value: number) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${digits(now.getMonth() + 1)}${digits(now.getDate())}`;
  return `${day}-${digits(now.getHours())}${digits(now.getMinutes())}${digits(now.getSeconds())}`;
}

/** Title of a run: its file's name without the suffix. */
export function runTitle(file: string): string {
  return basename(file, RUN_FILE_SUFFIX);
}

/** A run's title without the time that titles of new runs end with. */
export function titleWithoutTime(title: string): string {
  return title.replace(/\.\d{8}-\d{6}(-\d+)?$/, "");
}

/** Whether somebody named a run. */
export function isGivenTitle(title: string): boolean {
  return titleWithoutTime(title) === title;
}

/**
 * Path of a new run of a clip: `<clip>.<question id>.<time>.flow.jsonl`, with a number after the time
 * when that name is taken.
 */
export function runFilePath(
  folder: string,
  clip: string,
  questionId: string | undefined,
  now: Date,
  isTaken: (path: string) => boolean,
): string {
  const parts = [fileNamePart(basename(clip, extname(clip)))];
  if (questionId !== undefined) parts.push(fileNamePart(questionId));
  parts.push(timeStamp(now));
  const stem = join(folder, parts.join("."));
  let path = stem + RUN_FILE_SUFFIX;
  for (let again = 2; isTaken(path); again++) path = `${stem}-${again}${RUN_FILE_SUFFIX}`;
  return path;
}
