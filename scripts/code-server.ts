import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./cache.ts";
import { endHosts, watchHosts } from "./vscode/hosts.ts";
import { installServer } from "./vscode/install.ts";
import { chooseServer } from "./vscode/servers.mjs";

export { ROOT };

const START_TIMEOUT_MS = 60_000;
const GUARD = fileURLToPath(new URL("./vscode/guard.cjs", import.meta.url));
const REMOVE_TRIES = 10;
const REMOVE_PAUSE_MS = 300;
/** Lines of a log that a message shows. */
const LOG_LINES = 40;

/** A window that shows what is looked at, and nothing else. */
const SETTINGS = {
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "extensions.ignoreRecommendations": true,
};

export interface CodeServerOptions {
  /** Folder that the window opens. */
  readonly workspace: string;
  /** The extension is used from the repository, or a package of it is installed. */
  readonly extension: "repository" | { readonly vsix: string };
  /** JavaScript module whose `run()` is executed inside the extension host. */
  readonly tests?: string;
  /** Absent: any that is free. */
  readonly port?: number;
  /** Asks whether the folder is trusted, as a desktop window does. */
  readonly workspaceTrust?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** Is told of an extension host that answers no more; its message says which, with the logs. */
  readonly onHang?: (hang: Error) => void;
  /** About how many seconds an extension host may be silent. */
  readonly patience?: number;
}

/** A running VS Code server. */
export interface CodeServer {
  /** Address of a window with the workspace. */
  readonly url: string;
  /** Process id of the server; the extension host and what that starts descend from it. */
  readonly pid: number;
  /** The end of what the server and the extension hosts printed and logged so far. */
  log(): string;
  stop(): Promise<void>;
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}

/**
 * Starts VS Code as a server on the loopback address, with fresh user data, in the version that
 * `FLOWPROBE_VSCODE` names. It ends with this process, however that ends.
 *
 * @throws Error with the server's output when it does not come up within a minute.
 */
export async function startCodeServer(options: CodeServerOptions): Promise<CodeServer> {
  const version = chooseServer();
  const { node, folder } = installServer(version);
  const main = join(folder, "out", "server-main.js");
  const data = mkdtempSync(join(tmpdir(), "flowprobe-vscode-"));
  const extensions = join(data, "extensions");
  const signs = join(data, "signs-of-life");
  const user = join(data, "data", "User");
  for (const path of [extensions, signs, user]) mkdirSync(path, { recursive: true });
  writeFileSync(join(user, "settings.json"), JSON.stringify(SETTINGS));
  const common = [
    "--accept-server-license-terms",
    "--server-data-dir",
    data,
    "--extensions-dir",
    extensions,
    "--disable-telemetry",
  ];
  if (typeof options.extension === "object") {
    const args = [main, ...common, "--install-extension", options.extension.vsix, "--force"];
    const install = spawnSync(node, args, { encoding: "utf8" });
    if (install.status !== 0) {
      throw new Error(`the extension was not installed:\n${install.stdout}${install.stderr}`);
    }
  } else if (options.tests === undefined) {
    symlinkSync(ROOT, join(extensions, "flowprobe"), "junction");
  }
  const child = spawn(
    node,
    [
      "--require",
      GUARD,
      main,
      "--host",
      "127.0.0.1",
      "--port",
      String(options.port ?? 0),
      "--without-connection-token",
      ...(options.workspaceTrust === true ? [] : ["--disable-workspace-trust"]),
      // Else today's VS Code takes no test module from a window's address.
      ...(options.tests === undefined ? [] : ["--enable-smoke-test-driver"]),
      ...common,
    ],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, FLOWPROBE_SIGNS_OF_LIFE: signs, ...options.environment },
    },
  );
  let output = "";
  const listening = new Promise<number>((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer);
      reject(new Error(`VS Code's server ${why}:\n${output}`));
    };
    const timer = setTimeout(() => fail("did not start within a minute"), START_TIMEOUT_MS);
    const listen = (chunk: Buffer) => {
      output += chunk.toString();
      const [, port] = /Extension host agent listening on (\d+)/.exec(output) ?? [];
      if (port !== undefined) {
        clearTimeout(timer);
        resolve(Number(port));
      } else if (output.includes("EADDRINUSE")) fail(`found port ${options.port} in use`);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("exit", (code) => fail(`ended with code ${code}`));
  });
  const log = () => [lastLines("the server", output), ...logFiles(data)].join("\n");
  const endWatch = watchHosts(
    signs,
    (pid) => {
      const what = `VS Code's extension host (process ${pid}, VS Code ${version.vscode}, Node ${version.node}) does not answer any more`;
      options.onHang?.(new Error(`${what}.\n${log()}`));
    },
    options.patience,
  );
  const stop = async () => {
    endWatch();
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await stopped(child);
    clearTimeout(kill);
    endHosts(signs);
    await remove(data);
  };
  try {
    const url = windowUrl(await listening, options);
    return { url, pid: child.pid ?? 0, log, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Removes a folder that processes which are just ending may still write to. */
async function remove(folder: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      rmSync(folder, { recursive: true, force: true });
      return;
    } catch (error) {
      if (tries === REMOVE_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
    }
  }
}

/** The ends of the log files of the extension hosts. */
function logFiles(data: string): string[] {
  const folder = join(data, "data", "logs");
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true }).map(String);
  } catch {
    return [];
  }
  return names
    .filter((name) => basename(name) === "remoteexthost.log")
    .sort()
    .map((name) => lastLines(name, readFileSync(join(folder, name), "utf8")));
}

function lastLines(what: string, text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return `--- the log of ${what}:\n${lines.slice(-LOG_LINES).join("\n")}`;
}

/** Address of a window; the folders of a test module travel in the `payload` parameter. */
function windowUrl(port: number, options: CodeServerOptions): string {
  const url = new URL(`http://127.0.0.1:${port}/`);
  url.searchParams.set("folder", options.workspace);
  const remote = (path: string) => `vscode-remote://127.0.0.1:${port}${path}`;
  // A workspace's setting says so too, but is read too late on a busy machine.
  const payload: [string, string][] = [["skipWelcome", "true"]];
  if (options.tests !== undefined) {
    payload.push(["extensionDevelopmentPath", remote(ROOT)]);
    payload.push(["extensionTestsPath", remote(options.tests)]);
  }
  url.searchParams.set("payload", JSON.stringify(payload));
  return url.href;
}
