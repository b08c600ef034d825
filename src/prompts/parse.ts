import type { z } from "zod";
import { cutText } from "../common/shown.ts";
import type { ClipQuestion } from "../protocol/prompt-item.ts";
import { checkQuestion } from "./checks.ts";
import { isJsonLines, parseJsonLines, parseJsonTree } from "./json-tree.ts";
import { withoutLabels } from "./labels.ts";
import { nearest } from "./nearest.ts";
import {
  LineMap,
  MAX_PROBLEM_CHARACTERS,
  type Offsets,
  type PromptProblem,
  type Report,
  type SourceRange,
} from "./problems.ts";
import {
  benchmarkSchema,
  clipFileSchema,
  clipQuestionSchema,
  FILE_KEYS,
  NEEDED,
  QUESTION_KEYS,
} from "./schema.ts";
import { plain, type SourceMap, type SourceNode, type SourceTree, valueAt } from "./source-tree.ts";
import { parseYamlTree } from "./yaml-tree.ts";

/** A question and where the file states it. */
export interface LocatedQuestion {
  readonly item: ClipQuestion;
  readonly range: SourceRange;
  readonly videoRange: SourceRange;
}

export interface ParsedPromptFile {
  /** The questions without errors of their own, in the file's order. */
  readonly questions: readonly LocatedQuestion[];
  /** In the file's order. */
  readonly problems: readonly PromptProblem[];
  /** Whether it is a list of TVBench's or MVBench's records. */
  readonly benchmark: boolean;
}

/**
 * Reads a prompt file's text: `*.json` as JSON (or JSON Lines), `*.jsonl` and `*.ndjson` as JSON
 * Lines, anything else as YAML. The forms are: one `video`
 * with `questions`; `questions` that each name their `video`; one question with its `video`; a list
 * of such questions; a list of TVBench / MVBench records (`video`, `question`, `candidates`,
 * `answer`). Never throws: what is wrong is in the problems.
 */
export function parsePromptFile(text: string, fileName: string): ParsedPromptFile {
  const tree = parseTree(text, fileName);
  const lines = new LineMap(text);
  if ("errors" in tree) {
    const problems = tree.errors.map(
      (error): PromptProblem => ({
        kind: "unparsable",
        severity: "error",
        message: cutText(`this file ${error.message}`, MAX_PROBLEM_CHARACTERS),
        range: lines.range(error),
      }),
    );
    return { questions: [], problems, benchmark: false };
  }
  return new PromptFileReader(lines, fileName, text).read(tree.root);
}

function parseTree(text: string, fileName: string): SourceTree {
  if (/\.(jsonl|ndjson)$/i.test(fileName)) return parseJsonLines(text);
  if (!/\.json$/i.test(fileName)) return parseYamlTree(text);
  const tree = parseJsonTree(text);
  return "errors" in tree && isJsonLines(text) ? parseJsonLines(text) : tree;
}

/** What a file says once for all its questions. */
interface Shared {
  readonly node: SourceMap | undefined;
}

class PromptFileReader {
  readonly #lines: LineMap;
  readonly #fileName: string;
  readonly #text: string;
  readonly #problems: (PromptProblem & { readonly at: number })[] = [];
  readonly #reported = new Set<string>();
  readonly #questions: LocatedQuestion[] = [];
  readonly #ids = new Set<string>();
  /** Errors seen, those that were already reported for an earlier question included. */
  #errors = 0;

  constructor(lines: LineMap, fileName: string, text: string) {
    this.#lines = lines;
    this.#fileName = fileName;
    this.#text = text;
  }

  read(root: SourceNode): ParsedPromptFile {
    const none: Shared = { node: undefined };
    const questions = valueAt(root, "questions");
    let benchmark = false;
    if (root.kind === "list" && root.items.length > 0) {
      for (const item of root.items) {
        const isRecord = valueAt(item, "candidates") !== undefined;
        benchmark ||= isRecord;
        if (isRecord) this.#record(item);
        else this.#question(item, none);
      }
    } else if (root.kind === "map" && questions !== undefined) {
      this.#file(root, questions);
    } else if (root.kind === "map" && root.entries.length > 0) {
      this.#question(root, none);
    } else {
      this.#report("missing-field", root, "this file holds no question");
    }
    const problems = this.#problems
      .sort((a, b) => a.at - b.at)
      .map(({ at: _, ...problem }) => problem);
    return { questions: this.#questions, problems, benchmark };
  }

  #file(root: SourceMap, questions: SourceNode): void {
    const own = clipFileSchema.partial({ video: true }).omit({ questions: true });
    this.#validate(root, own);
    this.#unknownKeys(root, FILE_KEYS);
    if (questions.kind !== "list" || questions.items.length === 0) {
      this.#report("wrong-type", questions, `"questions" must be ${NEEDED.questions}`);
      return;
    }
    for (const item of questions.items) this.#question(item, { node: root });
  }

  #question(node: SourceNode, shared: Shared): void {
    const before = this.#errors;
    const schema =
      valueAt(shared.node, "video") === undefined
        ? clipQuestionSchema
        : clipQuestionSchema.partial({ video: true });
    if (!this.#validate(node, schema) || node.kind !== "map") return;
    this.#unknownKeys(node, QUESTION_KEYS);
    const from = (key: string) => valueAt(node, key) ?? valueAt(shared.node, key);
    const item: ClipQuestion = {
      ...idOf(valueAt(node, "id")),
      task: textOf(valueAt(node, "task")),
      question: textOf(valueAt(node, "question")) ?? "",
      options: textsOf(valueAt(node, "options")),
      answer: textOf(valueAt(node, "answer")),
      keywords: textsOf(valueAt(node, "keywords")),
      frames: numberOf(from("frames")),
      startSeconds: numberOf(from("start")),
      endSeconds: numberOf(from("end")),
      ...rateOf(from("fps")),
      template: textOf(from("template")),
      video: textOf(from("video")) ?? "",
    };
    this.#finish(node, item, from, "options", before);
  }

  #record(node: SourceNode): void {
    const before = this.#errors;
    if (!this.#validate(node, benchmarkSchema) || node.kind !== "map") return;
    const at = (key: string) => valueAt(node, key);
    const item: ClipQuestion = {
      ...idOf(at("data_id") ?? at("question_id") ?? at("id")),
      task: taskOf(this.#fileName),
      question: rawText(at("question")),
      options: rawTexts(at("candidates")),
      answer: rawText(at("answer")),
      keywords: [],
      startSeconds: numberOf(at("start")),
      endSeconds: numberOf(at("end")),
      ...rateOf(at("fps")),
      video: rawText(at("video")),
    };
    this.#finish(node, item, at, "candidates", before);
  }

  /** Checks what a schema cannot, and keeps the question if it has no error. */
  #finish(
    node: SourceMap,
    written: ClipQuestion,
    at: (key: string) => SourceNode | undefined,
    optionsKey: string,
    errorsBefore: number,
  ): void {
    const place = (key: string, index?: number) => {
      const found = at(key);
      const inner = found?.kind === "list" && index !== undefined ? found.items[index] : found;
      return inner ?? head(node);
    };
    const item = withoutLabels(written);
    if (item !== written) this.#reportLabels(written, item, optionsKey, place);
    checkQuestion(item, this.#ids, {
      optionsKey,
      at: place,
      source: ({ start, end }) => this.#text.slice(start, end),
      report: (kind, offsets, message, more) => this.#report(kind, offsets, message, more),
    });
    if (this.#errors > errorsBefore) return;
    this.#questions.push({
      item,
      range: this.#lines.range(node),
      videoRange: this.#lines.range(at("video") ?? node),
    });
  }

  /** Says that the options' own letters were left out, and offers to take them out of the file. */
  #reportLabels(
    written: ClipQuestion,
    item: ClipQuestion,
    optionsKey: string,
    place: (key: string, index?: number) => Offsets,
  ): void {
    const edits = item.options.map((text, i) => ({
      offsets: place(optionsKey, i),
      text: JSON.stringify(text),
    }));
    if (item.answer !== undefined && item.answer !== written.answer) {
      edits.push({ offsets: place("answer"), text: JSON.stringify(item.answer) });
    }
    const message =
      `the options bring their own letters (${JSON.stringify(written.options[0])}); they are left ` +
      `out, because the prompt writes "(A)" itself`;
    const fix = { title: "Take the letters out", edits };
    this.#report("labelled-options", place(optionsKey), message, { severity: "warning", fix });
  }

  /** Validates a node's own keys against a schema; says which key is missing or wrong. */
  #validate(node: SourceNode, schema: z.ZodType): boolean {
    if (node.kind !== "map") {
      this.#report("wrong-type", node, "a question must be a set of keys: question, options …");
      return false;
    }
    const result = schema.safeParse(plain(node));
    for (const issue of result.error?.issues ?? []) {
      const [key, index] = issue.path;
      const field = String(key);
      const value = valueAt(node, field);
      const member =
        value?.kind === "list" && typeof index === "number" ? value.items[index] : null;
      if (value === undefined) {
        this.#report(
          "missing-field",
          head(node),
          `"${field}" is missing; it must be ${NEEDED[field]}`,
        );
      } else if (member) {
        this.#report("wrong-type", member, `"${field}[${String(index)}]" must be a text`);
      } else {
        const empty = value.kind === "scalar" && value.text.trim() === "";
        const said = empty ? `"${field}" is empty; it` : `"${field}"`;
        this.#report("wrong-type", value, `${said} must be ${NEEDED[field]}`);
      }
    }
    return result.success;
  }

  #unknownKeys(node: SourceMap, known: readonly string[]): void {
    for (const { key, start, end } of node.entries) {
      if (known.includes(key)) continue;
      const unused = known.filter((name) => valueAt(node, name) === undefined);
      const close = nearest(key, unused);
      const quoted = this.#text[start] === '"' ? JSON.stringify(close?.text) : (close?.text ?? "");
      const fix =
        close !== undefined && close.distance <= 2
          ? {
              title: `Rename to "${close.text}"`,
              edits: [{ offsets: { start, end }, text: quoted }],
            }
          : undefined;
      const message = `the key ${JSON.stringify(key)} is not known and is left out`;
      this.#report("unknown-key", { start, end }, message, { severity: "warning", fix });
    }
  }

  #report: Report = (kind, offsets, message, more = {}) => {
    const { severity = "error", fix } = more;
    if (severity === "error") this.#errors++;
    const range = this.#lines.range(offsets);
    const place = `${kind} ${offsets.start} ${offsets.end}`;
    if (this.#reported.has(place)) return;
    this.#reported.add(place);
    const edits = fix?.edits.map(({ offsets: edited, text }) => ({
      range: this.#lines.range(edited),
      text,
    }));
    this.#problems.push({
      kind,
      severity,
      message: cutText(message, MAX_PROBLEM_CHARACTERS),
      range,
      ...(fix === undefined ? {} : { fix: { title: fix.title, edits: edits ?? [] } }),
      at: offsets.start,
    });
  };
}

/** Where something that is not there is missed: the first key of a question, or its beginning. */
function head(node: SourceMap): Offsets {
  const [first] = node.entries;
  return first ?? { start: node.start, end: node.start + 1 };
}

function rawText(node: SourceNode | undefined): string {
  return node?.kind === "scalar" ? node.text : "";
}

function rawTexts(node: SourceNode | undefined): string[] {
  return node?.kind === "list" ? node.items.map(rawText) : [];
}

/** A text without the line break that a YAML block ends with. */
function textOf(node: SourceNode | undefined): string | undefined {
  return node?.kind === "scalar" ? node.text.replace(/\n+$/, "") : undefined;
}

function textsOf(node: SourceNode | undefined): string[] {
  return node?.kind === "list" ? node.items.map((item) => textOf(item) ?? "") : [];
}

function numberOf(node: SourceNode | undefined): number | undefined {
  return node?.kind === "scalar" && typeof node.value === "number" ? node.value : undefined;
}

function idOf(node: SourceNode | undefined): { id?: string } {
  const id = textOf(node);
  return id === undefined ? {} : { id };
}

function rateOf(node: SourceNode | undefined): { fps?: number } {
  const fps = numberOf(node);
  return fps === undefined ? {} : { fps };
}

/** "action_antonym.json" is the list of TVBench's task "Action Antonym". */
function taskOf(fileName: string): string {
  const stem = fileName.replace(/^.*[\\/]/, "").replace(/(\.vqa)?\.[^.]*$/, "");
  return stem.replace(/[_-]+/g, " ").replace(/\b\p{Ll}/gu, (letter) => letter.toUpperCase());
}
