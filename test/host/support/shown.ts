import assert from "node:assert/strict";

/** A shown probability ("12.3 %", "0.48 %") says the same as a share of 1, to its last digit. */
export function assertShows(text: string | undefined, share: number, what: string): void {
  const found = /^(−|\+)?([\d.]+) %$/.exec(text ?? "");
  assert.ok(found !== null, `${what}: "${text}"`);
  const value = Number(found[2]) * (found[1] === "−" ? -1 : 1);
  const digits = found[2]?.split(".")[1]?.length ?? 0;
  const close = Math.abs(value - share * 100) <= 0.51 * 10 ** -digits;
  assert.ok(close, `${what}: shown ${text}, in the file ${share * 100} %`);
}
