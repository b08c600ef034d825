/** Place in a text file: lines and columns (UTF-16 code units) from 0, the end not included. */
export interface SourceRange {
  readonly startLine: number;
  readonly startColumn: number;
  readonly endLine: number;
  readonly endColumn: number;
}

export const PROBLEM_KINDS = [
  "unparsable",
  "missing-field",
  "wrong-type",
  "unknown-key",
  "answer-not-an-option",
  "duplicate-option",
  "duplicate-id",
  "bad-time-range",
  "bad-template",
  "keyword-not-found",
  "labelled-options",
  "lost-character",
  "video-missing",
] as const;
export type PromptProblemKind = (typeof PROBLEM_KINDS)[number];

/** Longest message of one problem, which may repeat a part of the file. */
export const MAX_PROBLEM_CHARACTERS = 1_000;

/** A replacement of text that would mend a problem. */
export interface PromptFix {
  /** What it does, in the imperative. */
  readonly title: string;
  readonly edits: readonly { readonly range: SourceRange; readonly text: string }[];
}

/** A mistake in a prompt file. A file with an `error` is not run; a `warning` may be meant. */
export interface PromptProblem {
  readonly kind: PromptProblemKind;
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly range: SourceRange;
  readonly fix?: PromptFix | undefined;
}

/** Half-open range of a file's UTF-16 code units. */
export interface Offsets {
  readonly start: number;
  readonly end: number;
}

/** Notes a problem at a place of the text. */
export type Report = (
  kind: PromptProblem["kind"],
  offsets: Offsets,
  message: string,
  more?: {
    readonly severity?: PromptProblem["severity"];
    readonly fix?:
      | {
          readonly title: string;
          readonly edits: readonly { readonly offsets: Offsets; readonly text: string }[];
        }
      | undefined;
  },
) => void;

/** Turns offsets of a text into lines and columns. */
export class LineMap {
  readonly #starts: number[] = [0];
  readonly #length: number;

  constructor(text: string) {
    this.#length = text.length;
    for (const match of text.matchAll(/\r\n|\n|\r/g)) {
      this.#starts.push(match.index + match[0].length);
    }
  }

  range({ start, end }: Offsets): SourceRange {
    const [startLine, startColumn] = this.#position(start);
    const [endLine, endColumn] = this.#position(Math.max(start, end));
    return { startLine, startColumn, endLine, endColumn };
  }

  #position(offset: number): [line: number, column: number] {
    const at = Math.min(offset, this.#length);
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return [low, at - (this.#starts[low] ?? 0)];
  }
}
