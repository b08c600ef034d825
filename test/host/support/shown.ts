import assert from "node:assert/strict";

/** A shown difference ("+3.2 points") says the same as percentage points, to its last digit. */
export function assertShowsPoints(text: string | undefined, points: number, what: string): void {
  assert.match(text ?? "", / points$/, what);
  assertShows(text?.replace(/ points$/, " %"), points / 100, what);
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A shown probability ("12.3 %", "−1.5×10⁻⁷ %") says the same as a share of 1, to its last digit. */
export function assertShows(text: string | undefined, share: number, what: string): void {
  const found = /^(−|\+)?([\d.]+)(?:×10⁻([⁰¹²³⁴⁵⁶⁷⁸⁹]+))? %$/.exec(text ?? "");
  assert.ok(found !== null, `${what}: "${text}"`);
  const exponent = [...(found[3] ?? "⁰")].map((digit) => SUPERSCRIPTS.indexOf(digit)).join("");
  const unit = 10 ** -Number(exponent);
  const value = Number(found[2]) * unit * (found[1] === "−" ? -1 : 1);
  const digits = found[2]?.split(".")[1]?.length ?? 0;
  const close = Math.abs(value - share * 100) <= 0.51 * unit * 10 ** -digits;
  assert.ok(close, `${what}: shown ${text}, in the file ${share * 100} %`);
}
