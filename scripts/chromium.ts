import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Switches that keep a browser quiet, offline and able to run as root without a desktop. */
export const CHROMIUM_ARGUMENTS: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"] as const;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function findBrowser(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function aptGet(...args: string[]): void {
  execFileSync("apt-get", args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}

/**
 * Path of a Chromium-family browser: `FLOWPROBE_CHROMIUM`, or one on the PATH; as root on Debian or
 * Ubuntu it is installed when there is none.
 *
 * @throws Error that says what to install when there is no browser and none can be installed.
 */
export function chromiumPath(): string {
  const chosen = process.env.FLOWPROBE_CHROMIUM;
  if (chosen !== undefined && chosen !== "") {
    if (isExecutable(chosen)) return chosen;
    throw new Error(`FLOWPROBE_CHROMIUM is ${chosen}, which is not an executable file`);
  }
  const present = findBrowser();
  if (present !== undefined) return present;
  const advice =
    "a browser is needed: install chromium (Debian: apt-get install chromium) or set FLOWPROBE_CHROMIUM to one";
  if (process.platform !== "linux" || process.getuid?.() !== 0) throw new Error(advice);
  console.log("installing chromium with apt-get …");
  try {
    aptGet("update", "-qq");
    aptGet("install", "-y", "-qq", "chromium");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`chromium could not be installed (${why}); ${advice}`);
  }
  const installed = findBrowser();
  if (installed === undefined) throw new Error(advice);
  return installed;
}
