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
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { register } from "tsx/esm/api";
import { npmInstall } from "./npm.mjs";

register();
const { cached } = await import("./cache.ts");

const root = fileURLToPath(new URL("..", import.meta.url));
const BUDGET_BYTES = 80e6;
/** The latest that runs on every Node that we support. */
const VSCE_VERSION = "3.9.2";

/** VS Code's targets, and their folders of ONNX Runtime's binaries. It has none for Intel Macs. */
const TARGETS = {
  "linux-x64": "linux/x64",
  "linux-arm64": "linux/arm64",
  "darwin-arm64": "darwin/arm64",
  "win32-x64": "win32/x64",
  "win32-arm64": "win32/arm64",
};

/** Not our packages' business: the GPU providers that are downloaded, not shipped. */
const LEFT_OUT = /cuda|tensorrt|\.d\.[cm]?ts$|\.map$/i;

const { values } = parseArgs({
  options: { target: { type: "string", default: `${process.platform}-${process.arch}` } },
});
const target = values.target;
const runtime = TARGETS[target];
if (runtime === undefined) {
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

/** Copies the parts of an installed package that are needed at run time. */
function copyPackage(name, parts, modules) {
  const from = join(root, "node_modules", name);
  for (const part of ["package.json", "LICENSE", "LICENSE.md", ...parts]) {
    const source = join(from, part);
    if (!existsSync(source)) continue;
    cpSync(source, join(modules, name, part), {
      recursive: true,
      filter: (path) => !LEFT_OUT.test(basename(path)),
    });
  }
}

const stage = mkdtempSync(join(tmpdir(), "flowprobe-package-"));
mkdirSync(join(stage, "dist"), { recursive: true });

run(process.execPath, ["esbuild.mjs", "--production"], { stdio: ["ignore", "inherit", "inherit"] });

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const {
  scripts: _,
  devDependencies: __,
  dependencies: ___,
  private: ____,
  bin: _____,
  ...shipped
} = manifest;
writeFileSync(join(stage, "package.json"), JSON.stringify(shipped, null, 2));
for (const part of ["README.md", "LICENSE", ".vscodeignore", "media", "samples", "vendor"]) {
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
copyPackage("onnxruntime-node", ["dist", `bin/${napi}/${runtime}`], modules);
copyPackage("onnxruntime-common", ["dist"], modules);

const file = join(root, `flowprobe-${target}-${manifest.version}.vsix`);
rmSync(file, { force: true });
const tool = cached(`vsce-${VSCE_VERSION}`, "VS Code's packaging tool", (project) =>
  npmInstall(project, `@vscode/vsce@${VSCE_VERSION}`),
);
const vsce = join(tool, "node_modules", "@vscode", "vsce", "vsce");
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
