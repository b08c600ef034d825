import { InputError } from "../common/errors.ts";

/** Characters and dots as the hub allows them; nothing that could lead out of a folder. */
const PART = /^(?!.*\.\.)(?!.*--)[A-Za-z0-9][\w.-]{0,95}$/;

/**
 * A model's name on the hub, from what a person typed: `owner/name`, or the address of its page.
 *
 * @throws InputError when it cannot be one.
 */
export function repositoryName(text: string, endpoint: string): string {
  let name = text.trim();
  for (const prefix of [endpoint, "https://huggingface.co", "hf:/"]) {
    if (name.startsWith(`${prefix}/`)) name = name.slice(prefix.length + 1);
  }
  const [owner = "", ...rest] = name.replace(/[?#].*$/, "").split("/");
  const parts = rest[0] === undefined ? [owner] : [owner, rest[0]];
  const isPage = rest.length <= 1 || rest[1] === "" || rest[1] === "tree" || rest[1] === "blob";
  if (!isPage || !parts.every((part) => PART.test(part))) {
    throw new InputError(
      `${JSON.stringify(text)} is no model's name; such a name is OWNER/NAME, as on the model's page`,
    );
  }
  return parts.join("/");
}

/** Whether a text is a model's whole name, as the hub itself gives it. */
export function isRepositoryName(text: string): boolean {
  const parts = text.split("/");
  return parts.length <= 2 && parts.every((part) => PART.test(part));
}

/**
 * A branch, tag or commit as it may stand in addresses and in the cache's `refs` folder.
 *
 * @throws InputError for anything else.
 */
export function revisionName(text: string): string {
  if (/^[\w.-]+(\/[\w.-]+)*$/.test(text) && !text.split("/").some((part) => /^\.+$/.test(part))) {
    return text;
  }
  throw new InputError(`${JSON.stringify(text)} is no branch, tag or commit`);
}
