import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { NODE_BUNDLE } from "../../esbuild.mjs";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Environment of a command that leaves the user's own cache alone. */
export const NO_CACHE: NodeJS.ProcessEnv = { ...process.env, FLOWPROBE_CACHE: "off" };

/**
 * Bundles the command line and the engine's program as they ship, in a folder of their own inside the
 * checkout, where they find the native packages and the embedded model.
 */
export async function bundleCommandLine(): Promise<{ cli: string; remove: () => Promise<void> }> {
  const cache = join(ROOT, "node_modules", ".cache", "flowprobe");
  await mkdir(cache, { recursive: true });
  const outdir = await mkdtemp(join(cache, "cli-"));
  const entries = { engine: "src/engine/service/main.ts", cli: "src/cli/main.ts" };
  for (const [name, entry] of Object.entries(entries)) {
    await build({ ...NODE_BUNDLE, entryPoints: { [name]: entry }, outdir });
  }
  await writeFile(join(outdir, "package.json"), '{ "type": "module" }\n');
  const remove = () => rm(outdir, { recursive: true, force: true });
  return { cli: join(outdir, "cli.js"), remove };
}
