import { OUTPUT_FLAGS, runClip } from "./clip-run.ts";
import type { Command } from "./command.ts";
import { CLIP_FLAGS } from "./job.ts";
import { analysisReport, LayerTable } from "./layers.ts";

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
    ...OUTPUT_FLAGS,
  },
  async run(args, terminal) {
    const json = args.flag("json");
    const table = new LayerTable((line) => terminal.print(line));
    const { events, path } = await runClip(
      args,
      terminal,
      () => ({ observe: { lens: args.flag("lens"), mass: true } }),
      (event) => {
        if (!json) table.take(event);
      },
    );
    if (json) terminal.print(JSON.stringify(analysisReport(events, path), null, 2));
    else terminal.print(`run file  ${path}`);
  },
};
