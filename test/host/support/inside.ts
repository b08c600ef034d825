import { join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "../../../scripts/code-server.ts";

/**
 * Bundles the tests that run inside VS Code into one module.
 *
 * @returns its path; CommonJS, as VS Code loads test modules of any of its versions.
 */
export async function bundleInsideTests(): Promise<string> {
  const outfile = join(ROOT, "node_modules", ".cache", "flowprobe", "inside.cjs");
  await build({
    entryPoints: [join(ROOT, "test", "host", "inside", "main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["vscode"],
    sourcemap: "inline",
    logLevel: "warning",
  });
  return outfile;
}
