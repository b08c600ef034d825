import type { SourceRange } from "../../src/prompts/problems.ts";

/** The part of a text that a range covers. */
export function covered(text: string, range: SourceRange): string {
  const lines = text.split("\n");
  const part = lines.slice(range.startLine, range.endLine + 1);
  const last = part.length - 1;
  part[last] = (part[last] ?? "").slice(0, range.endColumn);
  part[0] = (part[0] ?? "").slice(range.startColumn);
  return part.join("\n");
}
