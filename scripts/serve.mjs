import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { register } from "tsx/esm/api";
import { onEnd } from "./ends.mjs";
import { isFree } from "./ports.mjs";

/**
 * Serves VS Code with the extension and the sample clips at a local address, until this program is
 * asked to end. The workspace is a copy: what is done in it stays out of the repository.
 *
 * @param {number} wished port; another is taken, and said, when it is in use.
 */
export async function serve(wished) {
  register();
  const { ROOT, startCodeServer } = await import("./code-server.ts");
  // After a closed terminal there is nobody to print to.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const workspace = mkdtempSync(join(tmpdir(), "flowprobe-samples-"));
  const asked = new Promise((resolve) => onEnd(resolve));
  try {
    cpSync(join(ROOT, "samples"), workspace, { recursive: true });
    const free = await isFree(wished);
    if (!free) console.log(`Port ${wished} is in use; another one is taken.`);
    const server = await startCodeServer({
      workspace,
      extension: "repository",
      ...(free ? { port: wished } : {}),
      onHang: ({ message }) => console.error(`\n${message}\n\nReload the window to go on.`),
    });
    console.log(`
VS Code with Flowprobe and the sample clips:

  ${server.url}

Right-click moving-direction-1.mp4 and choose "Analyze Information Flow". Ctrl-C ends it.
`);
    await asked;
    await server.stop();
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}
