import { EngineClient } from "../engine/service/client.ts";
import type { EventSink } from "../protocol/events.ts";
import type { AnalysisJob } from "../protocol/requests.ts";
import type { Flags, ParsedArguments } from "./arguments.ts";
import type { Terminal } from "./command.ts";
import { clipAndQuestion, engineSettings } from "./job.ts";
import { progressLine } from "./progress.ts";
import { type RecordedRun, recordRun } from "./record.ts";

/** Flags of the commands that analyze a clip, beside those that choose it. */
export const OUTPUT_FLAGS: Flags = {
  out: {
    kind: "text",
    value: "FILE",
    help: "run file to write or continue, or its folder (<clip>.<time>.flow.jsonl)",
  },
  json: { kind: "flag", help: "print one JSON object" },
};

/** The clip and question that a command is about. */
export type ChosenClip = Pick<AnalysisJob, "model" | "embedded" | "clip" | "prompt">;

/** What a command adds to a clip and its question; what is left out is not observed or tried. */
export interface ClipPlan {
  readonly observe?: Partial<AnalysisJob["observe"]>;
  readonly experiments?: AnalysisJob["experiments"];
}

/**
 * Runs the clip and question that the flags choose, in an engine of its own, with progress on the
 * terminal. Notices go to `take`, or are noted on the terminal.
 *
 * @param plan may ask the engine about the model first, and knows the clip and question.
 */
export async function runClip(
  args: ParsedArguments,
  terminal: Terminal,
  plan: (client: EngineClient, chosen: ChosenClip) => ClipPlan | Promise<ClipPlan>,
  take?: EventSink,
): Promise<RecordedRun> {
  const chosen = await clipAndQuestion(args, terminal.note);
  const client = new EngineClient({ settings: engineSettings(args) });
  try {
    const { observe, experiments } = await plan(client, chosen);
    return await recordRun(
      client,
      {
        ...chosen,
        observe: { lens: false, mass: false, attention: "none", headAveraged: true, ...observe },
        experiments: experiments ?? [],
      },
      args.text("out"),
      (event) => {
        if (event.type === "progress") terminal.status(progressLine(event));
        else if (take !== undefined) take(event);
        else if (event.type === "notice") terminal.note(event.message);
      },
      terminal.signal,
    );
  } finally {
    terminal.status("");
    await client.dispose();
  }
}
