import { EngineClient } from "../engine/service/client.ts";
import type { Command } from "./command.ts";
import { CLIP_FLAGS, clipAndQuestion, engineSettings } from "./job.ts";
import { analysisReport, LayerTable } from "./layers.ts";
import { progressLine } from "./progress.ts";
import { recordRun } from "./record.ts";

/** `flowprobe analyze`: how the answer forms, layer by layer. */
export const analyze: Command = {
  name: "analyze",
  summary: "how the answer forms, layer by layer",
  usage: "VIDEO [--prompt FILE[#ID] | --question Q --option A … --answer A]",
  about:
    "Runs a clip and a question through the model and shows how the answer forms, layer by layer.\n" +
    "Without a question, the prompt file beside the video is used.",
  flags: {
    ...CLIP_FLAGS,
    lens: { kind: "flag", help: "also read every video token at every layer into the run file" },
    out: { kind: "text", value: "FILE", help: "run file to write (<clip>.<time>.flow.jsonl)" },
    json: { kind: "flag", help: "print one JSON object instead of the table" },
  },
  async run(args, terminal) {
    const json = args.flag("json");
    const chosen = await clipAndQuestion(args);
    const table = new LayerTable((line) => terminal.print(line));
    const client = new EngineClient({ settings: engineSettings(args) });
    try {
      const { events, path } = await recordRun(
        client,
        {
          ...chosen,
          observe: {
            lens: args.flag("lens"),
            mass: true,
            attention: "none",
            headAveraged: true,
          },
          experiments: [],
        },
        args.text("out"),
        (event) => {
          if (event.type === "progress") terminal.status(progressLine(event));
          else if (!json) table.take(event);
        },
        terminal.signal,
      );
      terminal.status("");
      if (json) terminal.print(JSON.stringify(analysisReport(events, path), null, 2));
      else terminal.print(`run file  ${path}`);
    } finally {
      await client.dispose();
    }
  },
};
