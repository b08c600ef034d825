import { InputError } from "./errors.ts";
import { UnfitFileError } from "./regular-file.ts";

/** What the system's error codes mean to the user. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  ENOTDIR: "a part of its path is a file, not a folder",
  EISDIR: "it is a folder",
  EEXIST: "it exists already",
  EACCES: "you have no permission for it",
  EPERM: "you have no permission for it",
  EROFS: "its disk is read-only",
  ENOSPC: "its disk is full",
  EDQUOT: "your quota on its disk is used up",
  EFBIG: "it would be larger than its disk allows",
  ENAMETOOLONG: "its name is too long",
};

/** The code of a system error, such as `ENOENT`; undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The error for a path that the system refuses to read or write: what failed, and why. */
export function fileFailure(path: string, failed: string, error: unknown): InputError {
  return new InputError(`${path}: ${failed}: ${failureReason(error)}`);
}

/** Why the system, or `openRegular`, refuses a path: in a user's words where they are known. */
export function failureReason(error: unknown): string {
  if (error instanceof UnfitFileError) return error.message;
  const code = systemCode(error);
  return (code === undefined ? undefined : REASONS[code]) ?? code ?? String(error);
}
