/** One question about one clip, as a prompt file states it; paths are as written in the file. */
export interface PromptItem {
  readonly id?: string | undefined;
  readonly task?: string | undefined;
  readonly question: string;
  /** The options' texts, without labels; empty for an open-ended question. */
  readonly options: readonly string[];
  /** The right option's text, or the right answer in words; absent when unknown. */
  readonly answer?: string | undefined;
  readonly keywords: readonly string[];
  readonly frames?: number | undefined;
  readonly startSeconds?: number | undefined;
  readonly endSeconds?: number | undefined;
  /** Frames per second of a folder of images, which has no rate of its own. */
  readonly fps?: number | undefined;
  /** Name of a prompt template, or a template text with its placeholders. */
  readonly template?: string | undefined;
}

/** A question together with the clip it is about. */
export interface ClipQuestion extends PromptItem {
  /** The clip, as written in the file; relative to the file's folder. */
  readonly video: string;
}
