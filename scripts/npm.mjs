import { spawnSync } from "node:child_process";

/**
 * Runs npm: the one that runs this script, else the one on the PATH.
 *
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnSyncOptions} options
 */
export function runNpm(args, options) {
  const own = process.env.npm_execpath;
  const direct = own !== undefined && /npm-cli\.c?js$/.test(own);
  const [command, first] = direct ? [process.execPath, [own]] : ["npm", []];
  return spawnSync(command, [...first, ...args, "--no-fund", "--no-audit"], {
    ...options,
    shell: !direct && process.platform === "win32",
  });
}

/**
 * Installs packages, or what the folder's package.json names, without running their install scripts.
 * Engines are not looked at: what is installed here runs on a Node of its own.
 *
 * @param {string} folder
 * @param {readonly string[]} packages
 * @throws Error with npm's messages when it fails.
 */
export function npmInstall(folder, ...packages) {
  const switches = ["--omit=dev", "--ignore-scripts", "--no-package-lock", "--engine-strict=false"];
  const result = runNpm(["install", ...packages, ...switches], { cwd: folder, encoding: "utf8" });
  if (result.status === 0) return;
  const why = result.error?.message ?? `${result.stdout}${result.stderr}`;
  throw new Error(`npm install ${packages.join(" ")} in ${folder} failed:\n${why}`);
}
