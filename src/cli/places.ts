import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const EMBEDDED = join("models", "embedded");

/** The project's or the installed package's own folder: the nearest one that has the embedded model. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, EMBEDDED, "config.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error("the embedded model is not beside this program");
    folder = parent;
  }
  return folder;
}

/** The model that ships with Flowprobe. */
export function embeddedModel(): string {
  return join(packageFolder(), EMBEDDED);
}
