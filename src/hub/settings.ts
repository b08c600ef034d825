import { homedir } from "node:os";
import { join } from "node:path";
import { InputError } from "../common/errors.ts";
import { readRegularFile } from "../common/regular-file.ts";

/** Where the hub is and where its files are kept, as the hub's own tools are told by the environment. */
export interface HubSettings {
  /** Address of the hub without a slash at its end: `HF_ENDPOINT`, or the public one. */
  readonly endpoint: string;
  /** Cache folder: `HF_HUB_CACHE`, or `hub` in `HF_HOME`. */
  readonly cache: string;
  /** `HF_HUB_OFFLINE` is set: nothing is asked of the network. */
  readonly offline: boolean;
}

const PUBLIC_ENDPOINT = "https://huggingface.co";

/**
 * Reads the hub's settings from environment variables.
 *
 * @throws InputError when `HF_ENDPOINT` is no web address.
 */
export function hubSettings(environment: NodeJS.ProcessEnv = process.env): HubSettings {
  const endpoint = (environment.HF_ENDPOINT || PUBLIC_ENDPOINT).replace(/\/+$/, "");
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw new InputError(
      `HF_ENDPOINT is ${JSON.stringify(endpoint)}; it must be an address such as ${PUBLIC_ENDPOINT}`,
    );
  }
  return {
    endpoint,
    cache: hubCacheFolder(environment),
    offline: /^(1|on|yes|true)$/i.test(environment.HF_HUB_OFFLINE ?? ""),
  };
}

/** The hub's cache folder, as the Hugging Face libraries find it. */
export function hubCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const stated = environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE;
  return stated ? fromHome(stated) : join(hubHome(environment), "hub");
}

/** Bytes of a file that holds a token. */
const MAX_TOKEN_BYTES = 10_000;

/** Where a token is read from, for messages. */
export const TOKEN_PLACES = "HF_TOKEN or the file that `hf auth login` writes";

/**
 * The access token of the environment: `HF_TOKEN`, else the file that the hub's own tools keep it in
 * (`HF_TOKEN_PATH`, or `token` in `HF_HOME`). Undefined when there is none.
 */
export async function environmentToken(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const stated = environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN;
  if (stated?.trim()) return stated.trim();
  const stored = environment.HF_TOKEN_PATH;
  const file = stored ? fromHome(stored) : join(hubHome(environment), "token");
  const text = await readRegularFile(file, MAX_TOKEN_BYTES).then(String, () => "");
  return text.trim() || undefined;
}

function hubHome(environment: NodeJS.ProcessEnv): string {
  if (environment.HF_HOME) return fromHome(environment.HF_HOME);
  const cache = environment.XDG_CACHE_HOME;
  return join(cache ? fromHome(cache) : join(homedir(), ".cache"), "huggingface");
}

function fromHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}
