import { freemem } from "node:os";
import * as vscode from "vscode";
import type { EngineClient } from "../../engine/service/client.ts";
import { PROMPT_FILE_ENDINGS } from "../../prompts/names.ts";
import { VIDEO_EXTENSIONS } from "../ids.ts";
import type { Models } from "../models/models.ts";

/** A window that has just opened is busy with itself. */
const QUIET_MS = 1_000;
/** The process with the embedded model in it holds about 200 MB; a full machine keeps its memory. */
const LEAST_FREE_BYTES = 1e9;

const ENDINGS = [...VIDEO_EXTENSIONS.map((extension) => `.${extension}`), ...PROMPT_FILE_ENDINGS];
const PATTERN = `**/*{${ENDINGS.join(",")}}`;

/**
 * Starts the engine with the embedded model before anything is asked, so that the first analysis need
 * not wait for it. Only where that is likely to be wanted and nobody minds: in a trusted workspace
 * with a video or a prompt file in it, while no other model is chosen and memory is free.
 */
export function warmStart(
  engine: Pick<EngineClient, "warm">,
  models: Models,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  const warm = async () => {
    const { folder, embedded } = models.chosen();
    if (!vscode.workspace.isTrusted || !embedded || freemem() < LEAST_FREE_BYTES) return;
    const found = await vscode.workspace.findFiles(PATTERN, "**/node_modules/**", 1);
    if (found.length === 0) return;
    const begun = performance.now();
    await engine.warm(folder);
    log.debug(`the engine was made ready in ${Math.round(performance.now() - begun)} ms`);
  };
  // The first run meets the same trouble, and tells it to somebody who asked.
  const attempt = () => warm().catch((error: unknown) => log.debug(String(error)));
  const timer = setTimeout(attempt, QUIET_MS);
  return vscode.Disposable.from(
    vscode.workspace.onDidGrantWorkspaceTrust(attempt),
    new vscode.Disposable(() => clearTimeout(timer)),
  );
}
