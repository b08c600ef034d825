import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { chooseServer } from "../../scripts/vscode/servers.mjs";
import { ROOT } from "../support/bundle.ts";

const folder = await mkdtemp(join(tmpdir(), "flowprobe-tools-"));
after(() => rm(folder, { recursive: true, force: true }));

const manifest = z
  .object({
    version: z.string(),
    scripts: z.record(z.string(), z.string()),
    bin: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));

/** A project of its own with our runner of tests and these layers. */
function project(name: string, layers: Readonly<Record<string, Readonly<Record<string, string>>>>) {
  const root = join(folder, name);
  mkdirSync(root);
  cpSync(join(ROOT, "scripts"), join(root, "scripts"), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"), "dir");
  const empty = { type: "module", dependencies: {}, devDependencies: {} };
  writeFileSync(join(root, "package.json"), JSON.stringify(empty));
  for (const [layer, files] of Object.entries(layers)) {
    mkdirSync(join(root, "test", layer), { recursive: true });
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(join(root, "test", layer, file), text);
    }
  }
  return (...asked: string[]) => {
    // Inside a run of node:test a further one would report to it instead of printing.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const args = [join(root, "scripts", "test.mjs"), ...asked];
    const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: "utf8" });
    return { status, lastLine: stdout.trimEnd().split("\n").at(-1) };
  };
}

const IMPORT = 'import { test } from "node:test";\n';
const PASSING = `${IMPORT}test("one", () => {});\ntest("two", () => {});\n`;

test("the last line counts what passed and failed over all layers, and the exit code follows it", () => {
  const run = project("mixed", {
    unit: { "a.test.ts": PASSING, "helper.ts": "throw new Error();" },
    parity: { "b.test.ts": `${PASSING}test("three", () => { throw new Error("no"); });\n` },
  });
  assert.deepEqual(run("unit"), { status: 0, lastLine: "2 passed, 0 failed" });
  assert.deepEqual(run("unit", "parity"), { status: 1, lastLine: "4 passed, 1 failed" });
});

test("a skipped test, one that is left to do, and a file that does not load are failures", () => {
  const run = project("lazy", {
    skipped: { "a.test.ts": `${PASSING}test.skip("later", () => {});\n` },
    todo: { "a.test.ts": `${PASSING}test.todo("some day");\n` },
    broken: { "a.test.ts": 'import "./nothing.ts";\n' },
  });
  assert.deepEqual(run("skipped"), { status: 1, lastLine: "2 passed, 1 failed" });
  assert.deepEqual(run("todo"), { status: 1, lastLine: "2 passed, 1 failed" });
  assert.equal(run("broken").status, 1);
});

test("a layer that is missing or empty is a failure, and by default all layers are run", () => {
  const run = project("partial", { unit: { "a.test.ts": PASSING }, empty: {} });
  assert.deepEqual(run("nowhere"), { status: 1, lastLine: "0 passed, 1 failed" });
  assert.deepEqual(run("empty"), { status: 1, lastLine: "0 passed, 1 failed" });
  assert.deepEqual(run(), { status: 1, lastLine: "2 passed, 4 failed" });
});

test("a VS Code that there is not is refused by name", () => {
  const run = project("another", { unit: { "a.test.ts": PASSING } });
  assert.deepEqual(run("unit", "--vscode", "oldest"), {
    status: 0,
    lastLine: "2 passed, 0 failed",
  });
  assert.equal(run("unit", "--vscode", "latest").status, 2);
  assert.throws(() => chooseServer("latest"), /no VS Code "latest", only oldest and newest/);
});

test("every program that package.json names is there", () => {
  const commands = [...Object.values(manifest.scripts), ...Object.values(manifest.bin)];
  const programs = commands.flatMap((command) => command.match(/[\w./-]+\.(mjs|ts)\b/g) ?? []);
  assert.ok(programs.length > 10);
  for (const program of programs) assert.ok(existsSync(join(ROOT, program)), program);
  for (const name of ["start", "test", "build", "bench", "package", "check"]) {
    assert.ok(name in manifest.scripts, name);
  }
});

/** Whether a range of versions, as engines are written, has one that starts a supported major. */
function takes(range: string, major: number): boolean {
  return range.split("||").some((part) => {
    const [, sign, first] = /^\s*(\^|~|>=|>)?\s*(\d+)/.exec(part) ?? [];
    if (first === undefined) return part.trim() === "*";
    return sign?.startsWith(">") === true ? Number(first) <= major : Number(first) === major;
  });
}

test("no package asks for another Node than is supported", () => {
  const lock = z
    .object({ packages: z.record(z.string(), z.looseObject({ engines: z.unknown().optional() })) })
    .parse(JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")));
  const engines = z.object({ node: z.string() });
  for (const [path, { engines: asked }] of Object.entries(lock.packages)) {
    const found = engines.safeParse(asked);
    if (!found.success) continue;
    for (const major of [20, 22, 24]) assert.ok(takes(found.data.node, major), path);
  }
});

test("every dependency is pinned to one version", () => {
  const all = { ...manifest.dependencies, ...manifest.devDependencies };
  for (const [name, version] of Object.entries(all)) {
    assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name);
  }
});

test("the lock file has package.json's versions, for every platform, and no addresses of its own", () => {
  const entry = z.object({ version: z.string(), integrity: z.string().startsWith("sha512-") });
  const text = readFileSync(join(ROOT, "package-lock.json"), "utf8");
  const lock = z
    .object({ packages: z.record(z.string(), z.looseObject({})) })
    .parse(JSON.parse(text));
  const { "": root, ...packages } = lock.packages;
  const { dependencies, devDependencies } = manifest;
  const advice = "run: npm run lock";
  assert.deepEqual(root?.dependencies, dependencies, advice);
  assert.deepEqual(root?.devDependencies, devDependencies, advice);
  for (const [path, found] of Object.entries(packages)) {
    assert.ok(entry.safeParse(found).success, `${path}: ${advice}`);
    assert.ok(!("resolved" in found), `${path}: ${advice}`);
  }
  for (const platform of ["darwin-arm64", "win32-x64", "linux-arm64"]) {
    assert.ok(`node_modules/@esbuild/${platform}` in packages, `${platform}: ${advice}`);
  }
});

interface Summary {
  readonly paritySummary: (tap: string, fixtures: string) => string[];
}

test("the parity layer's largest errors are told by family", async () => {
  const { paritySummary }: Summary = await import(join(ROOT, "scripts", "parity-summary.mjs"));
  const fixtures = join(folder, "fixtures");
  for (const [name, family] of Object.entries({ one: "llava", two: "llava", three: "smolvlm" })) {
    mkdirSync(join(fixtures, name), { recursive: true });
    writeFileSync(join(fixtures, name, "config.json"), JSON.stringify({ model_type: family }));
  }
  const tap = [
    "# Subtest: one: every stage",
    "ok 1 - one: every stage",
    "# hidden states: 1.5e-6 (of 0.0001)",
    "# pixels, of 255: 1.0e-5 (of 1.001)",
    "not ok 2 - two: every stage",
    "# hidden states: 2.0e-3 (of 0.0001)",
    "ok 3 - three: every series",
    "# center: new_score: 4.0e-7 (of 0.0001)",
    "# center: relative_diff: 4.0e-1 (of 0.02)",
    "ok 4 - a table of sizes",
    "ok 5 - elsewhere: the picture",
    "# hidden states: 9.0e-1 (of 0.0001)",
  ].join("\n");
  const lines = paritySummary(tap, fixtures).map((line) => line.trim().split(/ {2,}/));
  assert.deepEqual(lines.slice(1), [
    ["pixels", "vision", "hidden states", "attention", "sweeps", "probabilities"],
    ["llava", "1.0e-5", "-", "2.0e-3", "-", "-", "-"],
    ["smolvlm", "-", "-", "-", "-", "4.0e-7", "-"],
  ]);
});
