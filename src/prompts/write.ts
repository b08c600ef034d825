import { writeFile } from "node:fs/promises";
import { dirname, relative, resolve, sep } from "node:path";
import { stringify } from "yaml";
import { InputError } from "../common/errors.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";

/** A prompt file's YAML for questions about one clip. Keys without a value are left out. */
export function promptFileText(video: string, items: readonly PromptItem[]): string {
  const questions = items.map((item) => ({
    id: item.id,
    task: item.task,
    question: item.question,
    options: item.options.length > 0 ? item.options : undefined,
    answer: item.answer,
    keywords: item.keywords.length > 0 ? item.keywords : undefined,
    frames: item.frames,
    start: item.startSeconds,
    end: item.endSeconds,
    fps: item.fps,
    template: item.template,
  }));
  return stringify(
    { video, questions },
    {
      keepUndefined: false,
      lineWidth: 0,
      defaultStringType: "QUOTE_DOUBLE",
      defaultKeyType: "PLAIN",
    },
  );
}

/**
 * Writes a new prompt file for questions about a clip, the clip's path relative to the file.
 *
 * @throws InputError when the file exists or cannot be written.
 */
export async function writePromptFile(
  path: string,
  videoPath: string,
  items: readonly PromptItem[],
): Promise<void> {
  const from = relative(dirname(resolve(path)), resolve(videoPath))
    .split(sep)
    .join("/");
  await writeFile(path, promptFileText(from, items), { flag: "wx" }).catch(
    (error: NodeJS.ErrnoException) => {
      const why = error.code === "EEXIST" ? "exists already" : `cannot be written (${error.code})`;
      throw new InputError(`${path}: ${why}`);
    },
  );
}
