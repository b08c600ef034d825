import { randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type * as z from "zod";
import { InputError } from "../../common/errors.ts";
import { fileFailure, systemCode } from "../../common/file-failure.ts";
import { makeFolder } from "../../common/folders.ts";
import {
  type Outcome,
  outcome,
  type Study,
  type StudyQuestion,
  study,
} from "../../protocol/study.ts";
import { fileNamePart, RUN_FILE_SUFFIX } from "../names.ts";

/** Largest `study.json` that is read. */
const MAX_STUDY_BYTES = 256 * 1024 * 1024;
const DIGITS = 5;

/** Where a study's parts lie. Workers share nothing but this folder. */
export class StudyFolder {
  constructor(readonly path: string) {}

  get planFile(): string {
    return join(this.path, "study.json");
  }

  /** A question's run file. */
  runFile(question: StudyQuestion): string {
    return join(this.path, "runs", this.#stem(question) + RUN_FILE_SUFFIX);
  }

  outcomeFile(question: StudyQuestion): string {
    return join(this.path, "outcomes", `${this.#stem(question)}.json`);
  }

  /** Whose lock says that a worker is at a question. */
  claimFile(question: StudyQuestion): string {
    return join(this.path, "claims", this.#stem(question));
  }

  /**
   * Reads the plan.
   *
   * @throws InputError when there is none, or it cannot be used.
   */
  async readPlan(): Promise<Study> {
    const found = await readJson(this.planFile, study, MAX_STUDY_BYTES);
    if (found === undefined) throw new InputError(`${this.path}: holds no study (study.json)`);
    return found;
  }

  writePlan(plan: Study): Promise<void> {
    return writeWhole(this.planFile, `${JSON.stringify(plan, null, 1)}\n`);
  }

  /** How a question ended; undefined while it has not, or where what is there cannot be read. */
  async outcomeOf(question: StudyQuestion): Promise<Outcome | undefined> {
    return readJson(this.outcomeFile(question), outcome, 1 << 20).catch(() => undefined);
  }

  writeOutcome(question: StudyQuestion, ended: Outcome): Promise<void> {
    return writeWhole(this.outcomeFile(question), `${JSON.stringify(ended)}\n`);
  }

  /** Forgets how a question ended. */
  async forgetOutcome(question: StudyQuestion): Promise<void> {
    await rm(this.outcomeFile(question), { force: true });
  }

  #stem({ number, id, video }: StudyQuestion): string {
    return `${String(number).padStart(DIGITS, "0")}.${fileNamePart(id ?? video)}`;
  }
}

async function readJson<T>(
  path: string,
  schema: z.ZodType<T>,
  maxBytes: number,
): Promise<T | undefined> {
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw fileFailure(path, "cannot be read", error);
  }
  if (content.length > maxBytes) throw new InputError(`${path}: is too large to be a study`);
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw new InputError(`${path}: is not JSON`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError(`${path}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is wrong"}`);
}

/** Writes a file as a whole: a reader sees the old one or the new one. */
async function writeWhole(path: string, content: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.new`;
  try {
    await makeFolder(dirname(path));
    await writeFile(aside, content);
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw fileFailure(path, "cannot be written", error);
  }
}
