import { resolve } from "node:path";
import { ModelError } from "../common/errors.ts";
import type { ModelDescription, TokenDescription } from "../engine/engine.ts";
import { EngineClient } from "../engine/service/client.ts";
import { UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { engineSettings } from "./job.ts";
import { embeddedModel } from "./places.ts";

/** `flowprobe model`: what a checkpoint is, and whether it can be used. */
export const model: Command = {
  name: "model",
  summary: "what a model folder is, and whether it can be used",
  usage: "[DIR]",
  about:
    "Describes a model folder: family, sizes, and what is supported. The embedded one without DIR.",
  flags: {
    tokenizer: { kind: "text", value: "DIR", help: "folder to take the tokenizer from" },
    processor: { kind: "text", value: "DIR", help: "folder to take the processor's files from" },
    json: { kind: "flag", help: "print one JSON object" },
  },
  async run(args, terminal) {
    const [folder, ...more] = args.positionals;
    if (more.length > 0) throw new UsageError("one model folder at a time");
    const client = new EngineClient({ settings: engineSettings(args) });
    try {
      const found = await client.describe(folder === undefined ? embeddedModel() : resolve(folder));
      if (args.flag("json")) {
        terminal.print(JSON.stringify(found, null, 2));
        refuseMissing(found);
        return;
      }
      const rows: [string, string][] = [
        ["folder", found.folder],
        [
          "family",
          `${found.family} (model_type ${found.modelType})${found.supported ? ", supported" : ""}`,
        ],
        [
          "decoder",
          `${found.layers} layers, width ${found.hiddenSize}, MLP ${found.intermediateSize}`,
        ],
        [
          "attention",
          `${found.heads} heads, ${found.kvHeads} key heads, ${found.headDim} wide each`,
        ],
        ["vocabulary", `${found.vocabSize} tokens`],
        ["vision", `${found.visionLayers} layers used, ${pictures(found.token)}`],
        ["video", `${found.frames} frames, ${tokens(found.token)}`],
        [
          "weights",
          `${found.dtype}, ${millions(found.parameters)} parameters, ${megabytes(found.bytes)}`,
        ],
      ];
      for (const notice of found.notices) rows.push(["notice", notice]);
      for (const [name, value] of rows) terminal.print(`${name.padEnd(11)} ${value}`);
      refuseMissing(found);
    } finally {
      await client.dispose();
    }
  },
};

/** @throws ModelError when a part is missing that every run needs. */
function refuseMissing({ missing }: ModelDescription): void {
  if (missing.length === 0) return;
  const parts = missing.map(({ part, why, help }) => `${part}: ${why}; ${help}`);
  throw new ModelError(`not supported as it is\n${parts.join("\n")}`);
}

function pictures(token: TokenDescription): string {
  if (token.kind === "native") return "pictures of any size";
  return `${token.imageSize} x ${token.imageSize} pixels`;
}

function tokens(token: TokenDescription): string {
  if (token.kind === "square") return `${token.tokensPerFrame} tokens each`;
  const { pixels, frames, changedOnly } = token;
  const where = frames === 1 ? "a frame" : `${frames} frames`;
  const which = changedOnly ? ", where the frame before differs" : "";
  return `one token for each ${pixels} x ${pixels} pixels of ${where}${which}`;
}

function millions(count: number): string {
  return count >= 1e9
    ? `${(count / 1e9).toFixed(2)} billion`
    : `${(count / 1e6).toFixed(2)} million`;
}

function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
