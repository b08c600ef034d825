import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository: the extension under development. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** code-server 4.100 is VS Code 1.100, the oldest the extension supports, and runs on Node 20. */
const VERSION = "4.100.3";
const RIPGREP_VERSION = "1.18.0";
const CACHE = join(ROOT, "node_modules", ".cache", "flowprobe");
const START_TIMEOUT_MS = 60_000;

function npmInstall(folder: string, ...packages: string[]): void {
  const switches = ["--ignore-scripts", "--no-fund", "--no-audit", "--no-package-lock"];
  const result = spawnSync("npm", ["install", ...packages, "--omit=dev", ...switches], {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (result.status === 0) return;
  throw new Error(`npm install in ${folder} failed:\n${result.stdout}${result.stderr}`);
}

/** VS Code searches files with ripgrep, which its own install script would download. */
function addRipgrep(building: string, server: string): void {
  const name = `@vscode/ripgrep-${process.platform}-${process.arch}`;
  npmInstall(building, `${name}@${RIPGREP_VERSION}`);
  const binaries = join(server, "node_modules", "@vscode", "ripgrep", "bin");
  cpSync(join(building, "node_modules", name, "bin"), binaries, { recursive: true });
}

/**
 * Folder of a VS Code server with a browser window, installed into a cache on first use (about 300 MB).
 * Install scripts are not run: they build terminals' and log files' native modules, and VS Code
 * works without either.
 *
 * @throws Error when npm cannot install it.
 */
export function installCodeServer(): string {
  const folder = join(CACHE, `code-server-${VERSION}`);
  const server = join(folder, "node_modules", "code-server", "lib", "vscode");
  const complete = join(folder, "installed-with-search");
  if (existsSync(complete)) return server;
  console.log(`installing VS Code for the browser (code-server ${VERSION}) …`);
  mkdirSync(CACHE, { recursive: true });
  // Built aside and renamed, so that a stopped installation is never taken for a whole one.
  const building = mkdtempSync(join(CACHE, "building-"));
  try {
    writeFileSync(join(building, "package.json"), '{"private":true}');
    npmInstall(building, `code-server@${VERSION}`);
    const inside = join(building, "node_modules", "code-server", "lib", "vscode");
    npmInstall(inside);
    npmInstall(join(inside, "extensions"));
    addRipgrep(building, inside);
    writeFileSync(join(building, "installed-with-search"), "");
    rmSync(folder, { recursive: true, force: true });
    renameSync(building, folder);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  return server;
}

/** A port that was free a moment ago, on the loopback address. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no port"));
        else resolve(address.port);
      });
    });
  });
}

export interface CodeServerOptions {
  /** Folder that the window opens. */
  readonly workspace: string;
  /** The extension is used from the repository, or not at all (a `.vsix` is installed instead). */
  readonly extension: "development" | "installed" | { readonly vsix: string };
  /** JavaScript module whose `run()` is executed inside the extension host. */
  readonly tests?: string;
  readonly port?: number;
  /** Asks whether the folder is trusted, as a desktop window does. */
  readonly workspaceTrust?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A running VS Code server. */
export interface CodeServer {
  /** Address of a window with the workspace. */
  readonly url: string;
  /** Process id of the server; the extension host and what that starts descend from it. */
  readonly pid: number;
  /** What the server and the extension host printed so far. */
  output(): string;
  stop(): Promise<void>;
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}

/**
 * Starts VS Code as a server on the loopback address, with fresh user data.
 *
 * @throws Error with the server's output when it does not come up within a minute.
 */
export async function startCodeServer(options: CodeServerOptions): Promise<CodeServer> {
  const server = installCodeServer();
  const main = join(server, "out", "server-main.js");
  const data = mkdtempSync(join(tmpdir(), "flowprobe-vscode-"));
  const extensions = join(data, "extensions");
  mkdirSync(extensions);
  const common = [
    "--accept-server-license-terms",
    "--server-data-dir",
    data,
    "--extensions-dir",
    extensions,
    "--disable-telemetry",
  ];
  if (options.extension === "installed") symlinkSync(ROOT, join(extensions, "flowprobe"), "dir");
  if (typeof options.extension === "object") {
    const args = [main, ...common, "--install-extension", options.extension.vsix, "--force"];
    const install = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (install.status !== 0) {
      throw new Error(`the extension was not installed:\n${install.stdout}${install.stderr}`);
    }
  }
  const port = options.port ?? (await freePort());
  const trust = options.workspaceTrust === true ? [] : ["--disable-workspace-trust"];
  const child = spawn(
    process.execPath,
    [
      main,
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      "--without-connection-token",
      ...trust,
      ...common,
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...options.environment } },
  );
  let output = "";
  const listening = new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`VS Code's server ${why}:\n${output}`));
    const timer = setTimeout(() => fail("did not start within a minute"), START_TIMEOUT_MS);
    const listen = (chunk: Buffer) => {
      output += chunk.toString();
      if (!output.includes("Extension host agent listening on")) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("exit", (code) => {
      clearTimeout(timer);
      fail(`ended with code ${code}`);
    });
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await stopped(child);
    clearTimeout(kill);
    rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    await listening;
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: windowUrl(port, options), pid: child.pid ?? 0, output: () => output, stop };
}

/** Address of a window; development and test folders travel in the `payload` parameter. */
function windowUrl(port: number, options: CodeServerOptions): string {
  const url = new URL(`http://127.0.0.1:${port}/`);
  url.searchParams.set("folder", options.workspace);
  const remote = (path: string) => `vscode-remote://127.0.0.1:${port}${path}`;
  // A workspace's setting says so too, but is read too late on a busy machine.
  const payload: [string, string][] = [["skipWelcome", "true"]];
  if (options.extension === "development" || options.tests !== undefined) {
    payload.push(["extensionDevelopmentPath", remote(ROOT)]);
  }
  if (options.tests !== undefined) payload.push(["extensionTestsPath", remote(options.tests)]);
  url.searchParams.set("payload", JSON.stringify(payload));
  return url.href;
}
