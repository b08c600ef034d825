import { copyFileSync, cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached } from "../cache.ts";
import { npmInstall } from "../npm.mjs";
import { ownNode } from "../own-node.ts";
import type { SERVERS } from "./servers.mjs";

const RIPGREP_VERSION = "1.18.0";

/** Native modules that would have to be compiled, and what stands for them. */
const STAND_INS = {
  "@vscode/spdlog": "spdlog.cjs",
  "@vscode/native-watchdog": "watchdog.cjs",
  "native-watchdog": "watchdog.cjs",
};

type ServerVersion = (typeof SERVERS)[keyof typeof SERVERS];

/** A server on the disk. */
export interface InstalledServer {
  /** Node's program that runs it. */
  readonly node: string;
  /** Its folder. */
  readonly folder: string;
}

/** VS Code searches files with ripgrep, which the older one's install script would download. */
function addRipgrep(project: string, server: string): void {
  const package_ = join(server, "node_modules", "@vscode", "ripgrep");
  if (!existsSync(package_)) return;
  const name = `@vscode/ripgrep-${process.platform}-${process.arch}`;
  npmInstall(project, `${name}@${RIPGREP_VERSION}`);
  cpSync(join(project, "node_modules", name, "bin"), join(package_, "bin"), { recursive: true });
}

function addStandIns(server: string): void {
  for (const [name, file] of Object.entries(STAND_INS)) {
    const package_ = join(server, "node_modules", name);
    if (!existsSync(package_)) continue;
    copyFileSync(fileURLToPath(new URL(file, import.meta.url)), join(package_, "index.js"));
  }
}

/**
 * A VS Code server with a browser window and a Node of its own, installed into the cache on first use
 * (0.4 to 0.7 GB). Install scripts are not run: they compile native modules.
 *
 * @throws Error when npm cannot install it.
 */
export function installServer({ codeServer, vscode, node }: ServerVersion): InstalledServer {
  const inside = (project: string) => join(project, "node_modules", "code-server", "lib", "vscode");
  const what = `VS Code ${vscode} for the browser (code-server ${codeServer})`;
  const project = cached(`code-server-${codeServer}-2`, what, (building) => {
    npmInstall(building, `code-server@${codeServer}`);
    npmInstall(inside(building));
    npmInstall(join(inside(building), "extensions"));
    addRipgrep(building, inside(building));
    addStandIns(inside(building));
  });
  return { node: ownNode(node), folder: inside(project) };
}
