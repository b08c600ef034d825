// Installs the packages that package.json names, when some are missing or of another version.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMain } from "./is-main.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OLDEST_NODE = 20;

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
  const own = process.env.npm_execpath;
  const direct = own !== undefined && /npm-cli\.c?js$/.test(own);
  const [command, first] = direct ? [process.execPath, [own]] : ["npm", []];
  const result = spawnSync(command, [...first, ...args, "--no-fund", "--no-audit"], {
    cwd: ROOT,
    stdio: ["ignore", process.stderr, process.stderr],
    // The GPU libraries that onnxruntime-node would download are not needed.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
    shell: !direct && process.platform === "win32",
  });
  return result.status === 0;
}

/** Installs what is missing; ends the process with a message when that fails. */
export function ensureInstalled() {
  const [major] = process.versions.node.split(".");
  if (Number(major) < OLDEST_NODE) {
    console.error(`Flowprobe needs Node ${OLDEST_NODE} or newer; this is ${process.version}`);
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
