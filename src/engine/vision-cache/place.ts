import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** Chooses the folder of kept features, or keeps none. */
export const CACHE_VARIABLE = "FLOWPROBE_CACHE";
const OFF = /^(off|0|no|false)$/i;

/** What a folder is looked up from; the process's own by default. */
export interface CacheSurroundings {
  readonly environment: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
  readonly home: string;
}

/**
 * The folder in which video features are kept from run to run: what `FLOWPROBE_CACHE` says, else the
 * usual one. Undefined when it says "off".
 *
 * @param usual absolute; absent: the user's cache folder, where the platform has it.
 */
export function featureFolder(
  usual?: string,
  surroundings: CacheSurroundings = {
    environment: process.env,
    platform: process.platform,
    home: homedir(),
  },
): string | undefined {
  const stated = surroundings.environment[CACHE_VARIABLE]?.trim() ?? "";
  if (OFF.test(stated)) return undefined;
  const folder = stated === "" ? (usual ?? userCache(surroundings)) : resolve(stated);
  return join(folder, "vision");
}

function userCache({ environment, platform, home }: CacheSurroundings): string {
  const name = "flowprobe";
  if (platform === "darwin") return join(home, "Library", "Caches", name);
  if (platform === "win32") {
    return join(environment.LOCALAPPDATA || join(home, "AppData", "Local"), name, "Cache");
  }
  // The XDG specification: a relative path is to be ignored.
  const stated = environment.XDG_CACHE_HOME ?? "";
  return join(isAbsolute(stated) ? stated : join(home, ".cache"), name);
}
