// Runs the tests inside a desktop VS Code, which @vscode/test-electron downloads: npm run test:electron.
import { tmpdir } from "node:os";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { downloadAndUnzipVSCode, runTests } from "@vscode/test-electron";
import { register } from "tsx/esm/api";

register();
const { ROOT } = await import("../../scripts/code-server.ts");
const { buildExtension } = await import("./support/build.ts");
const { bundleInsideTests } = await import("./support/inside.ts");
const { makeWorkspace } = await import("./support/window.ts");

buildExtension();
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
