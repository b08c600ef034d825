import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Where Linux says whether it gives huge pages: one word of it is in brackets. */
const HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled";

/** The machine that a child process runs on. */
export interface ChildHost {
  readonly platform: string;
  readonly electron: boolean;
  /** Whether the system gives huge pages to those who ask for them. */
  readonly hugePages: boolean;
}

function thisHost(): ChildHost {
  const { platform, versions } = process;
  return { platform, electron: versions.electron !== undefined, hugePages: givesHugePages() };
}

function givesHugePages(): boolean {
  try {
    return /\[(always|madvise)\]/.test(readFileSync(HUGE_PAGES, "utf8"));
  } catch {
    return false;
  }
}

/**
 * Settings of glibc's allocator for a process that computes. Freed memory stays in the heap between
 * layers: given back to the system and taken anew, its pages would be zeroed at every layer, which
 * took about as long as the arithmetic itself. Large blocks (a 7B model's widened weights) are the
 * exception where huge pages make that cheap: in the heap, smaller blocks split the room they would
 * come back to (a 7B sweep: 2.5 GB instead of 3.0 GB, as fast). Their threshold is glibc's largest.
 */
export function glibcMalloc(hugePages: boolean): Readonly<Record<string, string>> {
  return {
    ...(hugePages
      ? { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1", MALLOC_MMAP_THRESHOLD_: "33554432" }
      : { MALLOC_MMAP_MAX_: "0" }),
    MALLOC_TRIM_THRESHOLD_: "17179869184",
    MALLOC_TOP_PAD_: "67108864",
  };
}

/** Environment of the engine's process: the allocator's settings, unless `own` has them. */
export function childEnvironment(
  own: NodeJS.ProcessEnv = process.env,
  { platform, electron, hugePages }: ChildHost = thisHost(),
): NodeJS.ProcessEnv {
  return {
    ...(platform === "linux" ? glibcMalloc(hugePages) : {}),
    ...own,
    // In Electron the running program is the editor; this makes it a plain Node.
    ...(electron ? { ELECTRON_RUN_AS_NODE: "1" } : {}),
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
