import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { z } from "zod";
import { ModelError } from "../../src/common/errors.ts";
import { renderChat } from "../../src/prompts/chat.ts";
import { renderTemplate } from "../../src/prompts/jinja/render.ts";

const FIXTURE = join(import.meta.dirname, "data", "chat-templates", "expected.json");
const { question, tokens, body, cases } = z
  .object({
    question: z.string(),
    tokens: z.record(z.string(), z.string()),
    body: z.string(),
    cases: z.array(z.tuple([z.string(), z.string(), z.string().nullable()])),
  })
  .parse(JSON.parse(readFileSync(FIXTURE, "utf8")));

const DATA = {
  messages: [
    { role: "system", content: "Look." },
    { role: "user", content: [{ type: "video" }, { type: "text", text: question }] },
  ],
  tools: null,
  documents: null,
  add_generation_prompt: true,
  ...tokens,
};

/** The text, or null where the template is refused. */
function rendered(template: string): string | null {
  try {
    return renderTemplate(template, DATA);
  } catch (error) {
    assert.ok(error instanceof Error && !(error instanceof TypeError), String(error));
    return null;
  }
}

/** Constructs that transformers renders and that are refused here, for what they are worth. */
const REFUSED = [
  ...["a recursive loop", "print large and small numbers", "print integers beyond doubles"],
  ...["a power with fractions", "print a tuple", "comparisons", "modulo formats a text", "floats"],
  ...["is mapping, iterable, sequence", "an item of a selection", "is divisibleby", "is in"],
  ...["is eq", "is sameas", "is filter and test", "tojson of a large number", "abs and round"],
  ...["sum, min, max", "wordcount and others", "safe, escape", "urlencode", "truncate"],
  ...["striptags", "groupby", "format", "rsplit, partition", "splitlines"],
  ...["startswith, endswith", "find, count, index", "isdigit and others", "format method"],
  ...["list index", "cycler and joiner", "a with block", "raw", "plus signs", "an odd escape"],
  ...["a dict with a number key", "numbers with underscores", "hexadecimal"],
];

for (const [what, template, expected] of cases) {
  const refused = REFUSED.includes(what);
  test(`${what}: ${refused ? "refused" : "as transformers renders it"}`, () => {
    assert.equal(rendered(template + body), refused ? null : expected);
    if (refused) assert.notEqual(expected, null, "transformers renders it");
  });
}

test("the refused constructs are those of the table", () => {
  const known = new Set(cases.map(([what]) => what));
  for (const what of REFUSED) assert.ok(known.has(what), what);
});

/** Templates made to never end, or to fill the memory, and what names the place. */
const ENDLESS: readonly (readonly [what: string, template: string, message: RegExp])[] = [
  [
    "nested loops",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    /works for too long \(in the loop "for [ab]"\)/,
  ],
  ["a range of a billion", "{% for i in range(1000000000) %}{% endfor %}", /range of 1000000000/],
  [
    "a text doubled in a loop",
    "{% set n = namespace(t='ab') %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}",
    /more than 1,000,000 characters \(in the loop "for i"\)/,
  ],
  [
    "a list doubled in a loop",
    "{% set n = namespace(t=[1, 2]) %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}",
    /more than 1,000,000 characters \(in the loop "for i"\)/,
  ],
  [
    "lists of lists",
    `{% set a0 = [1] %}${Array.from({ length: 40 }, (_, i) => `{% set a${i + 1} = [a${i}, a${i}] %}`).join("")}{{ a40 }}`,
    /more than 1,000,000 characters/,
  ],
  [
    "a replacement bomb",
    "{% set x = 'a' * 900000 %}{{ x|replace('a', x) }}",
    /more than 1,000,000 characters \(in the filter "replace"\)/,
  ],
  ["a replacement of nothing", "{{ ('a' * 900000).replace('', 'xxxx') }}", /more than 1,000,000/],
  ["a text times a billion", "{{ 'a' * 1000000000 }}", /more than 1,000,000/],
  ["a join with a long text", "{{ range(1000)|join('a' * 100000) }}", /in the filter "join"/],
  ["a wide indent", "{{ ('a\n' * 1000)|indent(100000) }}", /in the filter "indent"/],
  ["a wide JSON", "{{ [1, [2, 3]]|tojson(indent=900000) }}", /in the filter "tojson"/],
  [
    "long texts handled again and again",
    "{% set x = 'ab' * 400000 %}{% for i in range(100000) %}{% set y = x|upper %}{% endfor %}",
    /works for too long/,
  ],
  [
    "output in a loop",
    "{% set x = 'ab' * 4000 %}{% for i in range(100000) %}{{ x }}{% endfor %}",
    /more than 1,000,000/,
  ],
  [
    "a macro that calls itself",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    /too deeply \(in the macro "m"\)/,
  ],
  [
    "macros that call each other twice",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    /works for too long \(in the macro "m"\)/,
  ],
  ["100,000 brackets", `{{ ${"(".repeat(1e5)}1${")".repeat(1e5)} }}`, /nests too deeply/],
  ["long white space", `a${" ".repeat(2e5)}b`, /more than 4096 spaces in a row/],
  ["a megabyte", "a".repeat(2 ** 20), /\d+ characters; up to 262144 are read/],
  ["a tower of powers", "{{ 9 ** 9 ** 9 }}", /whole number beyond/],
];

for (const [what, template, message] of ENDLESS) {
  // Unbounded work would take hours, or all of the memory.
  test(`${what}: refused by name`, { timeout: 60_000 }, () => {
    const item = { question, options: [], keywords: [] };
    const render = () => renderChat(item, { template: template + body, placeholder: "<video>" });
    assert.throws(render, (error: Error) => {
      assert.ok(error instanceof ModelError, error.stack);
      assert.match(error.message, /^the model's chat template cannot be run: /);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("the special tokens are passed under their names", () => {
  const template = `{{ bos_token }}{{ image_token }}{{ cls_token is defined }}${body.replace("[1]", "[0]")}`;
  const specialTokens = { bos_token: "<s>", image_token: "<i>" };
  const item = { question: "Why?", options: [], keywords: [] };
  const chat = { template, placeholder: "<video>", bosToken: "<s>", specialTokens };
  const { text, addSpecial } = renderChat(item, chat);
  assert.equal(text, "<s><i>False<video>Why?");
  assert.equal(addSpecial, false);
});
