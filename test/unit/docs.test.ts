import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { runEvent } from "../../src/protocol/events.ts";
import { RECIPES, resultDetail } from "../../src/protocol/experiments/schemas.ts";
import { ROOT } from "../support/bundle.ts";

const page = (name: string) => readFileSync(join(ROOT, name), "utf8");
const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`),
];

/** Names of a schema's fields, at every depth. */
function fieldsOf(schema: unknown): string[] {
  const { shape, def } = (schema ?? {}) as {
    shape?: Record<string, unknown>;
    def?: Record<string, unknown>;
  };
  if (shape !== undefined) {
    return Object.entries(shape).flatMap(([name, inner]) => [name, ...fieldsOf(inner)]);
  }
  const inner = [def?.innerType, def?.element, ...((def?.options as unknown[]) ?? [])];
  return inner.filter((each) => each !== undefined).flatMap(fieldsOf);
}

/** The part of the run format's page about a type of event. */
function section(type: string): string {
  const [, text] = page("docs/RUN_FORMAT.md").split(`\n### ${type}\n`);
  assert.ok(text !== undefined, `docs/RUN_FORMAT.md has no section "${type}"`);
  return text.split("\n### ")[0] ?? "";
}

for (const option of runEvent.options) {
  const single = "shape" in option ? option : option.options[0];
  const type = single.shape.type.value;
  test(`the run format's page names all of ${type}`, () => {
    const text = section(type);
    const known = type === "experiment.started" ? ["experiment", "branches"] : fieldsOf(option);
    for (const field of new Set(known)) {
      assert.ok(field === "type" || text.includes(`\`${field}\``), `${type}: ${field}`);
    }
  });
}

test("the run format's page names every recipe", () => {
  const text = section("experiment.started");
  for (const [kind, schema] of Object.entries(RECIPES)) {
    const row = text.split("\n").find((line) => line.startsWith(`| \`${kind}\``)) ?? "";
    assert.notEqual(row, "", kind);
    for (const field of Object.keys(schema.shape)) {
      assert.ok(row.includes(`\`${field}\``), `${kind}: ${field}`);
    }
  }
  for (const field of Object.keys(resultDetail.shape)) {
    assert.ok(section("branch.result").includes(`\`${field}\``), field);
  }
});

test("the architecture's page names every room", () => {
  const rooms = readdirSync(join(ROOT, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "engine")
    .map(({ name }) => `src/${name}`);
  const engine = readdirSync(join(ROOT, "src/engine"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `src/engine/${name}`);
  const text = page("docs/ARCHITECTURE.md");
  for (const room of [...rooms, ...engine]) assert.ok(text.includes(`\`${room}\``), room);
});

test("links and paths of the pages lead somewhere", () => {
  for (const name of PAGES) {
    const text = page(name);
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, to]) => to ?? "");
    for (const link of links) {
      assert.ok(existsSync(join(ROOT, dirname(name), link)), `${name}: ${link}`);
    }
    const paths = [...text.matchAll(/`((?:src|test|webview|docs|schemas)\/[\w./-]+)`/g)];
    for (const [, path = ""] of paths) {
      if (/NAME/.test(path)) continue;
      assert.ok(existsSync(join(ROOT, path)), `${name}: ${path}`);
    }
  }
});
