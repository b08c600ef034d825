import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { describeEnd } from "../../src/engine/service/died.ts";
import {
  type ChildHost,
  childEnvironment,
  engineProgram,
  glibcMalloc,
  sourceSwitches,
} from "../../src/engine/service/environment.ts";
import { LastLines } from "../../src/engine/service/last-lines.ts";

test("every way in which a process can end has its own advice", () => {
  const end = (code: number | null, signal: NodeJS.Signals | null, lastLines: string[] = []) =>
    describeEnd({ code, signal, lastLines });
  assert.match(end(null, "SIGKILL"), /SIGKILL.*ran out of memory/);
  assert.match(end(null, "SIGSEGV"), /SIGSEGV.*native library/);
  assert.match(end(null, "SIGBUS"), /file of the model/);
  assert.match(end(134, null), /exit code 134.*native library/);
  assert.match(end(137, null), /exit code 137.*ran out of memory/);
  assert.match(end(3221225477, null), /0xc0000005.*native library/);
  assert.match(end(3221225495, null), /0xc0000017.*ran out of memory/);
  assert.match(
    end(null, "SIGABRT", ["FATAL ERROR: Reached heap limit - JavaScript heap out of memory"]),
    /ran out of memory.*\nLast output:\nFATAL ERROR/s,
  );
  assert.match(end(3, null, ["oops"]), /exit code 3.*report it.*\nLast output:\noops$/s);
});

/** What is shown of these lines of stderr. */
function shown(...printed: readonly string[]): readonly string[] {
  const last = new LastLines();
  for (const line of printed) last.add(line);
  return last.lines;
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `chatter ${i}`);
const STACK = Array.from({ length: 10 }, (_, i) => `    at f${i} (file.js:${i}:1)`);

test("what says why is kept from a long stderr, and little else", () => {
  const why = "Error: Cannot find module '/nowhere/engine.js'";
  const missing = [
    "node:loader:1433",
    "  throw err;",
    "  ^",
    "",
    why,
    ...STACK,
    "{",
    "}",
    "Node.js",
  ];
  assert.deepEqual(shown(...missing).slice(3, 6), [why, STACK[0], STACK[1]]);
  const reasons = [why, "FATAL ERROR: JavaScript heap out of memory", "  what():  std::bad_alloc"];
  for (const reason of reasons) {
    const lines = shown(...numbered(50), reason, ...STACK, ...numbered(50));
    assert.ok(lines.includes(reason), reason);
    assert.ok(lines.length <= 12);
    assert.equal(lines[3], `… ${50 - 3 + 2 + 50 - 6} lines more`);
  }
  assert.ok(shown(...Array<string>(100).fill(why)).length <= 12);
  assert.equal(shown("x".repeat(10_000))[0]?.length, 500);
  assert.deepEqual(shown(...numbered(9)), numbered(9));
});

/** A machine other than this one. */
const host = (platform: string, rest: Partial<ChildHost> = {}): ChildHost => ({
  platform,
  electron: false,
  hugePages: false,
  ...rest,
});

test("in Electron the child is a plain Node, elsewhere nothing is changed", () => {
  const own = { PATH: "/bin" };
  const electron = childEnvironment(own, host("win32", { electron: true }));
  assert.deepEqual(electron, { PATH: "/bin", ELECTRON_RUN_AS_NODE: "1" });
  assert.deepEqual(childEnvironment(own, host("darwin", { hugePages: true })), own);
});

test("glibc's allocator is set up on Linux, and the user's own settings come first", () => {
  for (const hugePages of [true, false]) {
    const linux = host("linux", { hugePages });
    const settings = glibcMalloc(hugePages);
    assert.deepEqual(childEnvironment({}, linux), settings);
    for (const name of Object.keys(settings)) {
      assert.equal(childEnvironment({ [name]: "mine" }, linux)[name], "mine");
    }
  }
});

test("large blocks are given back to the system where huge pages make that cheap, else kept", () => {
  assert.equal(glibcMalloc(false).MALLOC_MMAP_MAX_, "0");
  const { MALLOC_MMAP_MAX_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES } = glibcMalloc(true);
  assert.equal(MALLOC_MMAP_MAX_, undefined);
  assert.equal(MALLOC_MMAP_THRESHOLD_, String(32 * 1024 * 1024));
  assert.equal(GLIBC_TUNABLES, "glibc.malloc.hugetlb=1");
});

test("a bundle finds the engine beside itself, a source finds the source", () => {
  const bundled = engineProgram("file:///opt/flowprobe/dist/extension.js");
  assert.deepEqual(bundled, { path: "/opt/flowprobe/dist/engine.js", execArgv: [] });
  assert.match(engineProgram().path, /src\/engine\/service\/main\.ts$/);
});

const engine = fileURLToPath(new URL("../support/test-engine.ts", import.meta.url));

test("an engine that nobody asked for says so instead of waiting", () => {
  const result = spawnSync(process.execPath, [...sourceSwitches(), engine], { encoding: "utf8" });
  assert.equal(result.status, 1);
  assert.match(result.stderr, /the engine is started by Flowprobe/);
});

test("an engine whose parent is gone ends by itself", async () => {
  const parent = spawn(
    process.execPath,
    [
      "-e",
      `const { fork } = require("node:child_process");
       const child = fork(process.argv[1], [], { execArgv: JSON.parse(process.argv[2]) });
       child.send({ kind: "configure", settings: {} });
       child.send({ kind: "request", id: 0, request: { kind: "describe", folder: "/m" } });
       child.on("message", () => console.log(child.pid));
       setInterval(() => {}, 1000);`,
      engine,
      JSON.stringify(sourceSwitches()),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(line.toString());
  process.kill(pid, 0);
  parent.kill("SIGKILL");
  for (let waited = 0; waited < 5_000; waited += 20) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  process.kill(pid, "SIGKILL");
  assert.fail("the engine is still there");
});
