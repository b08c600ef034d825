import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { afterEach, test } from "node:test";
import { chromium } from "playwright-core";
import { CHROMIUM_ARGUMENTS, chromiumPath } from "../../scripts/chromium.ts";
import { ROOT } from "../../scripts/code-server.ts";
import { buildExtension } from "./support/build.ts";
import { pidsMarked } from "./support/processes.ts";
import { eventually } from "./support/window.ts";

/** `npm start` as in a terminal of its own. */
class Started {
  readonly #mark = `FLOWPROBE_TEST_MARK=${randomUUID()}`;
  readonly npm: ChildProcess;
  printed = "";

  constructor(port: number) {
    const [name = "", value] = this.#mark.split("=");
    const env = { ...process.env, [name]: value };
    const args = ["start", "--", "--port", String(port)];
    this.npm = spawn("npm", args, { cwd: ROOT, env, detached: true, stdio: "pipe" });
    for (const stream of [this.npm.stdout, this.npm.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.printed += text;
      });
    }
  }

  /** Address of the served window, once it is printed. */
  url(): Promise<string> {
    return eventually("the address of the window", () => {
      assert.equal(this.npm.exitCode, null, this.printed);
      return /http:\S+/.exec(this.printed)?.[0];
    });
  }

  /** Signals what stands in the terminal's foreground, as Ctrl-C does, or npm alone. */
  signal(signal: NodeJS.Signals, to: "terminal" | "npm"): void {
    const { pid } = this.npm;
    assert.ok(pid !== undefined);
    process.kill(to === "npm" ? pid : -pid, signal);
  }

  pids(): number[] {
    return pidsMarked(this.#mark);
  }

  /** Waits until no process of it is left. */
  async gone(): Promise<void> {
    await eventually("the end of all that npm start began", () =>
      this.pids().length === 0 ? true : undefined,
    ).catch((error) => {
      throw new Error(`${error.message}; left: ${this.pids().join()}\n${this.printed}`);
    });
  }

  kill(): void {
    for (const pid of this.pids()) process.kill(pid, "SIGKILL");
  }
}

let started: Started | undefined;
let blocker: Server | undefined;
afterEach(() => {
  started?.kill();
  blocker?.close();
});

/** Listens on a port of its own, so that it is taken. */
function takePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      resolve(address.port);
    });
    blocker = server;
  });
}

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const port = await takePort();
  await new Promise((resolve) => blocker?.close(resolve));
  return port;
}

for (const [what, signal, to] of [
  ["Ctrl-C", "SIGINT", "terminal"],
  ["a closed terminal", "SIGHUP", "terminal"],
  ["a kill of npm alone", "SIGTERM", "npm"],
] as const) {
  test(`npm start leaves nothing behind after ${what}`, async () => {
    buildExtension();
    const port = await freePort();
    started = new Started(port);
    const url = await started.url();
    assert.equal(new URL(url).port, String(port));
    const workspace = new URL(url).searchParams.get("folder") ?? "";
    assert.ok(existsSync(workspace));
    started.signal(signal, to);
    await started.gone();
    assert.ok(!existsSync(workspace));
  });
}

test("no window's processes outlive a killed npm", async () => {
  buildExtension();
  started = new Started(await freePort());
  const url = await started.url();
  const before = started.pids().length;
  const args = [...CHROMIUM_ARGUMENTS];
  const browser = await chromium.launch({ executablePath: chromiumPath(), args });
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.locator('.activitybar .action-label[aria-label^="Flowprobe"]').waitFor();
    assert.ok(started.pids().length > before, "the window has an extension host");
    started.signal("SIGKILL", "npm");
    await started.gone();
  } finally {
    await browser.close();
  }
});

test("a port in use is said, and another one taken", async () => {
  buildExtension();
  const port = await takePort();
  started = new Started(port);
  const url = await started.url();
  assert.match(started.printed, new RegExp(`Port ${port} is in use`));
  assert.notEqual(new URL(url).port, String(port));
  assert.equal((await fetch(url)).status, 200);
  started.signal("SIGINT", "terminal");
  await started.gone();
});
