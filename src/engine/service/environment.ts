import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

/**
 * Settings of glibc's allocator for a process that computes; the environment's own come first. Large
 * blocks (widened weights, MLP rows) come from the heap and stay there between layers: given back to
 * the system and taken anew, their pages would be zeroed at every layer, which took about as long as
 * the arithmetic itself.
 */
export const GLIBC_MALLOC: Readonly<Record<string, string>> = {
  MALLOC_MMAP_MAX_: "0",
  MALLOC_TRIM_THRESHOLD_: "17179869184",
  MALLOC_TOP_PAD_: "67108864",
};

/** Environment of the engine's process. */
export function childEnvironment(
  own: NodeJS.ProcessEnv = process.env,
  host: { readonly platform: string; readonly electron: boolean } = {
    platform: process.platform,
    electron: process.versions.electron !== undefined,
  },
): NodeJS.ProcessEnv {
  return {
    ...(host.platform === "linux" ? GLIBC_MALLOC : {}),
    ...own,
    // In Electron the running program is the editor; this makes it a plain Node.
    ...(host.electron ? { ELECTRON_RUN_AS_NODE: "1" } : {}),
  };
}

/** The program that a child process runs. */
export interface ChildProgram {
  readonly path: string;
  /** Switches of Node. */
  readonly execArgv: readonly string[];
}

/** The engine's program: beside the bundle that asks, or its source when the source is run. */
export function engineProgram(asker: string = import.meta.url): ChildProgram {
  if (!asker.endsWith(".ts")) {
    return { path: fileURLToPath(new URL("./engine.js", asker)), execArgv: [] };
  }
  const path = fileURLToPath(new URL("./main.ts", import.meta.url));
  return { path, execArgv: sourceSwitches() };
}

/** Switches with which Node runs TypeScript sources, wherever it is started. */
export function sourceSwitches(): string[] {
  const loader = createRequire(import.meta.url).resolve("tsx");
  return ["--import", pathToFileURL(loader).href];
}
