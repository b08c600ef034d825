// Runs the tests inside a desktop VS Code, which @vscode/test-electron downloads: npm run test:electron.
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { register } from "tsx/esm/api";
import { npmInstall } from "../../scripts/npm.mjs";

register();
const { cached, ROOT } = await import("../../scripts/cache.ts");
const { buildExtension } = await import("./support/build.ts");
const { bundleInsideTests } = await import("./support/inside.ts");
const { makeWorkspace } = await import("./support/window.ts");

/** The latest that runs on every Node that we support. */
const VERSION = "2.5.2";

buildExtension();
const tool = cached(`test-electron-${VERSION}`, "VS Code's test tool", (project) =>
  npmInstall(project, `@vscode/test-electron@${VERSION}`),
);
const require = createRequire(join(tool, "package.json"));
const { downloadAndUnzipVSCode, runTests } = require("@vscode/test-electron");
const vscodeExecutablePath = await downloadAndUnzipVSCode().catch((error) => {
  console.error(
    `VS Code could not be downloaded (${error.message}). This needs a network; ` +
      "npm run test:host runs the same tests in a VS Code from npm.",
  );
  process.exit(1);
});
try {
  await runTests({
    vscodeExecutablePath,
    extensionDevelopmentPath: ROOT,
    extensionTestsPath: await bundleInsideTests(),
    launchArgs: [
      makeWorkspace(),
      "--disable-extensions",
      "--disable-workspace-trust",
      `--user-data-dir=${mkdtempSync(join(tmpdir(), "flowprobe-user-"))}`,
    ],
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
