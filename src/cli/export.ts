import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileFailure } from "../common/file-failure.ts";
import { WINDOW_STYLES } from "../protocol/vocabulary.ts";
import { runToJson } from "../runs/exports.ts";
import { readRunFile } from "../runs/file.ts";
import { SAMPLE_MODES } from "../runs/records.ts";
import { exportReference, REFERENCE_LAYOUTS } from "../runs/reference.ts";
import { answerByLayerCsv, experimentsCsv } from "../runs/tables.ts";
import { UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";

const FORMATS = ["json", "csv", "csv-experiments", "reference"] as const;

/** `flowprobe export`: run files in other formats. */
export const exportRun: Command = {
  name: "export",
  summary: "run files as JSON, CSV or in the layout of the reference",
  usage: `RUN … --format ${FORMATS.join("|")}`,
  about:
    "Turns a run file into JSON or CSV, or several into the layout of the paper's reference\n" +
    "implementation, which its plotting scripts read.",
  flags: {
    format: {
      kind: "text",
      oneOf: FORMATS,
      help: "json, csv (answer by layer), csv-experiments, reference",
    },
    out: { kind: "text", value: "PATH", help: "file (for reference: folder) to write" },
    dataset: { kind: "text", value: "NAME", help: "data set of the reference layout (tvbench)" },
    "model-name": {
      kind: "text",
      value: "NAME",
      help: "model of the reference layout (as in the run)",
    },
    samples: {
      kind: "text",
      oneOf: SAMPLE_MODES,
      help: "samples in the reference layout (correct)",
    },
    layout: {
      kind: "text",
      oneOf: [...REFERENCE_LAYOUTS, "both"],
      help: "whether the reference's plots find the files, its analysis (in jsons/), or both (both)",
    },
    "layer-norm": {
      kind: "flag",
      help: "answers by layer with the final norm, in the reference layout (raw, as its scripts)",
    },
    window: {
      kind: "whole",
      value: "W",
      help: "of several sweeps: that with this window, in the reference layout",
    },
    style: {
      kind: "text",
      oneOf: WINDOW_STYLES,
      help: "of several sweeps: that of this style, in the reference layout (center)",
    },
    overwrite: { kind: "flag", help: "replace files that exist" },
  },
  cancelled: "cancelled; nothing was written",
  async run(args, terminal) {
    if (args.positionals.length === 0) throw new UsageError("the run file is missing");
    const format = FORMATS.find((known) => known === args.text("format"));
    if (format === undefined) throw new UsageError("--format is missing");
    const runs = [];
    for (const path of args.positionals) {
      const { events, problems } = await readRunFile(resolve(path), terminal.signal);
      for (const problem of problems) terminal.note(`${path}: ${problem}`);
      runs.push(events);
    }
    const out = args.text("out");
    if (format === "reference") {
      const modelName = args.text("model-name");
      const layout = args.text("layout") ?? "both";
      const written = await exportReference(runs, resolve(out ?? "."), {
        dataset: args.text("dataset") ?? "tvbench",
        samples: SAMPLE_MODES.find((known) => known === args.text("samples")) ?? "correct",
        overwrite: args.flag("overwrite"),
        layerNorm: args.flag("layer-norm"),
        layouts: REFERENCE_LAYOUTS.filter((known) => [known, "both"].includes(layout)),
        window: args.number("window"),
        style: WINDOW_STYLES.find((known) => known === args.text("style")),
        ...(modelName === undefined ? {} : { model: modelName }),
      });
      for (const file of written) terminal.print(file);
      return;
    }
    const [events, ...more] = runs;
    if (events === undefined || more.length > 0) throw new UsageError("one run file at a time");
    const text =
      format === "json"
        ? `${JSON.stringify(runToJson(events), null, 2)}\n`
        : format === "csv"
          ? answerByLayerCsv(events)
          : experimentsCsv(events);
    if (out === undefined) {
      terminal.print(text.trimEnd());
      return;
    }
    const path = resolve(out);
    await writeFile(path, text, { flag: args.flag("overwrite") ? "w" : "wx" }).catch((error) => {
      throw fileFailure(path, "the export cannot be written", error);
    });
    terminal.print(path);
  },
};
