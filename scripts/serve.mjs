// Serves VS Code with the extension and the sample workspace at a local address, until Ctrl-C:
// node scripts/serve.mjs [port]. The workspace is a copy: what is done in it stays out of the repository.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { register } from "tsx/esm/api";

register();
const { ROOT, startCodeServer } = await import("./code-server.ts");

const port = Number(process.argv[2] ?? process.env.PORT ?? 8420);
const workspace = mkdtempSync(join(tmpdir(), "flowprobe-samples-"));
cpSync(join(ROOT, "samples"), workspace, { recursive: true });
mkdirSync(join(workspace, ".vscode"));
writeFileSync(
  join(workspace, ".vscode", "settings.json"),
  JSON.stringify({ "workbench.startupEditor": "none", "workbench.tips.enabled": false }),
);

const server = await startCodeServer({ workspace, extension: "development", port });
console.log(`
VS Code with Flowprobe and the sample clips:

  ${server.url}

Right-click moving-direction-1.mp4 and choose "Analyze Information Flow". Ctrl-C ends it.
`);

let ending = false;
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, async () => {
    if (ending) return;
    ending = true;
    await server.stop();
    rmSync(workspace, { recursive: true, force: true });
    process.exit(0);
  });
}
