// Makes the platform-specific package: node scripts/package.mjs [--target linux-x64].
// Prints its path and size, and fails when it is larger than the budget.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = join(root, "node_modules", ".cache", "flowprobe");
const BUDGET_BYTES = 80e6;

/**
 * VS Code's targets: the package of the video decoder, and the folder of ONNX Runtime's binaries.
 * ONNX Runtime has none for Intel Macs.
 */
const TARGETS = {
  "linux-x64": { decoder: "@seydx/node-av-linux-x64", runtime: "linux/x64" },
  "linux-arm64": { decoder: "@seydx/node-av-linux-arm64", runtime: "linux/arm64" },
  "darwin-arm64": { decoder: "@seydx/node-av-darwin-arm64", runtime: "darwin/arm64" },
  "win32-x64": { decoder: "@seydx/node-av-win32-x64-msvc", runtime: "win32/x64" },
  "win32-arm64": { decoder: "@seydx/node-av-win32-arm64-msvc", runtime: "win32/arm64" },
};

/** Not our packages' business: the GPU providers that are downloaded, not shipped. */
const LEFT_OUT = /cuda|tensorrt|\.d\.[cm]?ts$|\.map$/i;

const { values } = parseArgs({
  options: { target: { type: "string", default: `${process.platform}-${process.arch}` } },
});
const target = values.target;
const natives = TARGETS[target];
if (natives === undefined) {
  console.error(`there is no package for ${target}; known: ${Object.keys(TARGETS).join(", ")}`);
  process.exit(1);
}

/** Runs a command; ends with its output when it fails. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", ...options });
  if (result.status === 0) return result.stdout;
  const why = result.error?.message ?? `${result.stdout ?? ""}${result.stderr ?? ""}`;
  console.error(`${command} ${args.join(" ")} failed:\n${why}`);
  process.exit(1);
}

/** Folder of an installed package, or of one fetched from the registry for another platform. */
function packageFolder(name, version) {
  const installed = join(root, "node_modules", name);
  if (existsSync(join(installed, "package.json"))) return installed;
  const folder = join(cache, "packages", `${name.replace("/", "+")}-${version}`);
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    const stdout = run("npm", ["pack", `${name}@${version}`, "--silent"], { cwd: folder });
    run("tar", ["-xzf", stdout.trim().split("\n").at(-1), "--strip-components=1"], { cwd: folder });
  }
  return folder;
}

/** Copies the parts of an installed package that are needed at run time. */
function copyPackage(name, parts, modules) {
  const from = packageFolder(name, "");
  for (const part of ["package.json", "LICENSE", "LICENSE.md", ...parts]) {
    const source = join(from, part);
    if (!existsSync(source)) continue;
    cpSync(source, join(modules, name, part), {
      recursive: true,
      filter: (path) => !LEFT_OUT.test(basename(path)),
    });
  }
}

/**
 * Compresses a large native module with xz: the decoder's 175 MB become 26 MB, where the package's
 * own compression leaves 61 MB. The extension unpacks it when it is first used.
 */
function pack(source, destination) {
  const { size, mtimeMs } = statSync(source);
  const kept = join(cache, "packed", `${basename(source)}-${size}-${Math.floor(mtimeMs)}.xz`);
  if (!existsSync(kept)) {
    console.log(`compressing ${basename(source)} (${Math.round(size / 1e6)} MB, once) …`);
    mkdirSync(join(cache, "packed"), { recursive: true });
    const copy = `${kept}.${process.pid}`;
    cpSync(source, copy);
    run("xz", ["--threads=0", "-6", "--force", copy]);
    renameSync(`${copy}.xz`, kept);
  }
  cpSync(kept, destination);
}

const stage = mkdtempSync(join(tmpdir(), "flowprobe-package-"));
mkdirSync(join(stage, "dist"), { recursive: true });

run(process.execPath, ["esbuild.mjs", "--production"], { stdio: ["ignore", "inherit", "inherit"] });

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const {
  scripts: _,
  devDependencies: __,
  dependencies,
  private: ___,
  bin: ____,
  ...shipped
} = manifest;
writeFileSync(join(stage, "package.json"), JSON.stringify(shipped, null, 2));
for (const part of ["README.md", "LICENSE", "NOTICE", ".vscodeignore", "media", "samples"]) {
  if (existsSync(join(root, part)))
    cpSync(join(root, part), join(stage, part), { recursive: true });
}
cpSync(join(root, "models", "embedded"), join(stage, "models", "embedded"), { recursive: true });
mkdirSync(join(stage, "schemas"));
cpSync(join(root, "schemas", "vqa.schema.json"), join(stage, "schemas", "vqa.schema.json"));
for (const name of readdirSync(join(root, "dist"))) {
  // The command line is for a checkout; the rest of the bundles, with their licences, is shipped.
  if (/\.(js|css|json|txt)$/.test(name) && !name.startsWith("cli.")) {
    cpSync(join(root, "dist", name), join(stage, "dist", name));
  }
}

// Beside the bundles, not at the root: there vsce leaves node_modules alone, and Node finds it too.
const modules = join(stage, "dist", "node_modules");
const napi = readdirSync(join(root, "node_modules", "onnxruntime-node", "bin"))[0];
copyPackage("onnxruntime-node", ["dist", `bin/${napi}/${natives.runtime}`], modules);
copyPackage("onnxruntime-common", ["dist"], modules);
copyPackage("node-av", ["dist/lib", "dist/constants", "dist/utils"], modules);
const decoder = packageFolder(natives.decoder, dependencies["node-av"]);
const decoderStage = join(modules, natives.decoder);
mkdirSync(decoderStage, { recursive: true });
cpSync(join(decoder, "package.json"), join(decoderStage, "package.json"));
pack(join(decoder, "node-av.node"), join(decoderStage, "node-av.node.xz"));

const file = join(root, `flowprobe-${target}-${manifest.version}.vsix`);
rmSync(file, { force: true });
const vsce = join(root, "node_modules", "@vscode", "vsce", "vsce");
const switches = [
  "--no-dependencies",
  "--allow-missing-repository",
  "--no-rewrite-relative-links",
  "--skip-license",
];
run(process.execPath, [vsce, "package", ...switches, "--target", target, "--out", file], {
  cwd: stage,
});
rmSync(stage, { recursive: true, force: true });

const { size } = statSync(file);
console.log(`${file}: ${(size / 1e6).toFixed(1)} MB`);
if (size > BUDGET_BYTES) {
  console.error(`larger than the ${BUDGET_BYTES / 1e6} MB that one platform may have`);
  process.exit(1);
}
