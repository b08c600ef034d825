// Installs the packages that package.json names, when some are missing or of another version.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMain } from "./is-main.mjs";
import { runNpm } from "./npm.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Names of the packages that are not there in the version that package.json asks for. */
function missingPackages() {
  const { dependencies, devDependencies } = readJson(join(ROOT, "package.json"));
  return Object.entries({ ...dependencies, ...devDependencies })
    .filter(([name, version]) => {
      const manifest = join(ROOT, "node_modules", name, "package.json");
      return !existsSync(manifest) || readJson(manifest).version !== version;
    })
    .map(([name]) => name);
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Runs npm, its output on stderr; true when it worked. */
function npm(...args) {
  const stdio = ["ignore", process.stderr, process.stderr];
  return runNpm(args, { cwd: ROOT, stdio }).status === 0;
}

/** Whether a version is at least as new as another: "20.19.1" and "20.19". */
function isSince(version, oldest) {
  return version.localeCompare(oldest, "en", { numeric: true }) >= 0;
}

/** Installs what is missing; ends the process with a message when that fails. */
export function ensureInstalled() {
  const oldest = readJson(join(ROOT, "package.json")).engines?.node.replace(">=", "");
  if (oldest !== undefined && !isSince(process.versions.node, oldest)) {
    console.error(`Flowprobe needs Node ${oldest} or newer; this is ${process.version}`);
    process.exit(1);
  }
  const missing = missingPackages();
  if (missing.length === 0) return;
  console.error(`installing packages (missing: ${missing.slice(0, 5).join(", ")}) …`);
  const fresh =
    !existsSync(join(ROOT, "node_modules")) && existsSync(join(ROOT, "package-lock.json"));
  const installed =
    (fresh && npm("ci")) ||
    npm("install", "--no-save") ||
    npm("install", "--no-save", "--no-package-lock");
  const left = missingPackages();
  if (installed && left.length === 0) return;
  console.error(`npm did not install ${left.join(", ") || "the packages"}; see its messages above`);
  process.exit(1);
}

if (isMain(import.meta.url)) ensureInstalled();
