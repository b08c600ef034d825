import assert from "node:assert/strict";
import { test } from "node:test";
import { type Flags, flagHelp, ParsedArguments, UsageError } from "../../src/cli/arguments.ts";

const FLAGS: Flags = {
  prompt: { kind: "text", value: "FILE", help: "a file" },
  frames: { kind: "whole", value: "N", most: 4096, help: "frames" },
  start: { kind: "number", value: "S", help: "first second" },
  option: { kind: "list", value: "A", help: "an option" },
  style: { kind: "text", oneOf: ["center", "inverse"], help: "layers" },
  json: { kind: "flag", help: "JSON" },
};
const parse = (...args: string[]) => new ParsedArguments(args, FLAGS);

function refusal(...args: string[]): string {
  try {
    parse(...args);
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return error.message;
  }
  return assert.fail(`${args.join(" ")} was taken`);
}

test("flags are read by their kind, wherever they stand", () => {
  const args = parse(
    "--option",
    "Up",
    "a.mp4",
    "--json",
    "--option=Down",
    "--frames",
    "8",
    "--start=0.5",
  );
  assert.deepEqual(args.positionals, ["a.mp4"]);
  assert.deepEqual(args.list("option"), ["Up", "Down"]);
  assert.equal(args.number("frames"), 8);
  assert.equal(args.number("start"), 0.5);
  assert.ok(args.flag("json") && args.has("json"));
  assert.equal(args.text("prompt"), undefined);
  assert.deepEqual(parse().list("option"), []);
});

test("what a flag cannot take is refused by its name and value", () => {
  assert.match(refusal("--shape", "x"), /Unknown option '--shape'/);
  assert.match(refusal("--prompt"), /--prompt/);
  assert.match(refusal("--json=yes"), /--json/);
  assert.match(refusal("--style", "round"), /--style is "round"; it can be center, inverse/);
  assert.match(refusal("--frames", "8.5"), /--frames is "8.5"; a whole number/);
  assert.match(refusal("--frames", "many"), /--frames is "many"; a number/);
  assert.match(refusal("--frames="), /--frames is ""; a number/);
  assert.match(refusal("--start=-1"), /--start is "-1"; a number of 0 or more/);
  assert.match(refusal("--frames", "4000000000"), /--frames is "4000000000"; at most 4096/);
  assert.match(refusal("--start", "1e300"), /at most 1000000 is taken/);
  assert.match(refusal("--start", "Infinity"), /--start is "Infinity"/);
});

test("the help names every flag, its value and what it is for", () => {
  const help = flagHelp(FLAGS);
  assert.match(help, /^ {2}--prompt FILE +a file$/m);
  assert.match(help, /^ {2}--style center\|inverse +layers$/m);
  assert.match(help, /^ {2}--json +JSON$/m);
});
