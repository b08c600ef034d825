import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/bundle.ts";

/**
 * The rooms of the house and what each may import from, besides itself. Data flows down this list;
 * imports go up it only. The engine's rooms may use all engine rooms above them.
 */
const OUTSIDE = ["src/common", "src/protocol", "src/video", "src/tokenizer", "src/prompts"];
const ENGINE = [
  "src/engine/checkpoint",
  "src/engine/families",
  "src/engine/positions",
  "src/engine/graph",
  "src/engine/runtime",
  "src/engine/vision-cache",
  "src/engine/clean-cache",
  "src/engine/trace",
  "src/engine/experiments",
  "src/engine",
  "src/engine/service",
];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "src/common": [],
  "src/protocol": ["src/common"],
  "src/video": ["src/common", "src/protocol"],
  "src/tokenizer": ["src/common", "src/protocol"],
  "src/prompts": OUTSIDE,
  ...Object.fromEntries(ENGINE.map((room, i) => [room, [...OUTSIDE, ...ENGINE.slice(0, i)]])),
  "src/runs": ["src/common", "src/protocol"],
  "src/hub": ["src/common", "src/protocol", "src/engine/checkpoint", "src/engine/families"],
  "src/host": [...OUTSIDE, ...ENGINE, "src/runs", "src/hub"],
  "src/cli": [...OUTSIDE, ...ENGINE, "src/runs", "src/hub"],
  webview: ["src/common", "src/protocol", "src/runs"],
};

/** A TypeScript source and what it imports, types included; paths are relative to the repository. */
interface Source {
  readonly path: string;
  readonly imports: readonly string[];
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']/g;

function sources(folder: string): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .map((name) => join(ROOT, folder, String(name)))
    .filter((path) => path.endsWith(".ts"))
    .map((path) => ({
      path: relative(ROOT, path).replaceAll(sep, "/"),
      imports: [...readFileSync(path, "utf8").matchAll(IMPORT)].map(([, name]) => name ?? ""),
    }));
}

/** The innermost room that a path lies in. */
function roomOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((room) => path.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0];
}

/** The imports of `source` that its room must not have. */
function forbidden({ path, imports }: Source): string[] {
  const room = roomOf(path);
  if (room === undefined) return [`${path} lies in no room`];
  return imports.flatMap((name) => {
    if (name === "vscode") return room === "src/host" ? [] : [`${path} imports vscode`];
    if (!name.startsWith(".")) return [];
    const target = posix.join(dirname(path), name);
    const other = roomOf(target);
    const allowed =
      other !== undefined && (other === room || MAY_IMPORT[room]?.includes(other) === true);
    return allowed ? [] : [`${path} imports ${target}`];
  });
}

const all = [...sources("src"), ...sources("webview")];

test("imports between rooms go one way", () => {
  assert.ok(all.length > 300);
  assert.deepEqual(all.flatMap(forbidden), []);
});

test("an import against the order is found", () => {
  const found = (path: string, name: string) => forbidden({ path, imports: [name] });
  assert.equal(found("src/video/ffmpeg.ts", "../engine/engine.ts").length, 1);
  assert.equal(found("webview/store.ts", "../src/host/ids.ts").length, 1);
  assert.equal(found("src/engine/engine.ts", "vscode").length, 1);
  assert.equal(found("src/engine/trace/pass.ts", "../service/worker.ts").length, 1);
  assert.deepEqual(found("src/engine/trace/pass.ts", "../runtime/model.ts"), []);
});
