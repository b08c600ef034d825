import { execFileSync } from "node:child_process";
import { ROOT } from "../../../scripts/code-server.ts";

/** Builds the extension unless what is there is newer than its sources. */
export function buildExtension(): void {
  execFileSync(process.execPath, ["scripts/build.mjs"], { cwd: ROOT, stdio: "inherit" });
}
