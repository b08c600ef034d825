import { MODEL_TYPES } from "../../engine/families/registry.ts";
import { cachedModels } from "../../hub/cache.ts";
import { HubClient } from "../../hub/client.ts";
import { download } from "../../hub/download.ts";
import { planDownload } from "../../hub/plan.ts";
import { HubRequests } from "../../hub/requests.ts";
import { checkPromptFile, promptFileBeside, readPromptText } from "../../prompts/files.ts";
import { readRunEvents } from "../../runs/file.ts";
import { describeModel } from "../models/catalog.ts";
import { summarizeRun } from "../runs/summary.ts";
import { boundedBatches } from "./batches.ts";
import type { HubAccess, ReaderHandlers } from "./tasks.ts";

/** Progress of a download is told this often at most. */
const PROGRESS_MS = 100;

function hubClient({ settings, token, tokenAdvice }: HubAccess): HubClient {
  return new HubClient(new HubRequests(settings, { token, tokenAdvice }));
}

function isSupported(modelType: string | undefined): boolean {
  return modelType !== undefined && MODEL_TYPES.includes(modelType);
}

/** What a reader process does for each task. */
export const READER_HANDLERS: ReaderHandlers = {
  describeModel: ({ name, folder, origin }) => describeModel(name, folder, origin),
  cachedModels: ({ cache }) => cachedModels(cache),
  summarizeRun: ({ file }) => summarizeRun(file),
  readRun: async ({ file }, { note }) => {
    const problems: string[] = [];
    const batches = boundedBatches(readRunEvents(file, problems), problems);
    for await (const batch of batches) await note(batch);
    return { problems };
  },
  checkPrompts: async ({ path, text }) =>
    checkPromptFile(path, text ?? (await readPromptText(path))),
  promptFileBeside: ({ clip }) => promptFileBeside(clip),
  searchHub: async ({ access, text }, { signal }) => {
    const found = await hubClient(access).search(text, signal);
    return found.map((model) => ({ ...model, supported: isSupported(model.modelType) }));
  },
  planDownload: ({ access, name }, { signal }) =>
    planDownload(hubClient(access), name, "main", signal),
  download: async ({ access, plan }, { note, signal }) => {
    let told = Number.NEGATIVE_INFINITY;
    return download(
      hubClient(access),
      plan,
      (progress) => {
        const now = performance.now();
        if (now - told < PROGRESS_MS && progress.done < progress.total) return;
        told = now;
        void note(progress);
      },
      signal,
    );
  },
};
