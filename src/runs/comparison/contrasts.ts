import type { RunFacts } from "./facts.ts";

/** Something that is not the same in all runs, said for each of them. */
export interface Contrast {
  readonly what: string;
  /** [runs] */
  readonly values: readonly string[];
}

const basename = (path: string) => path.split(/[\\/]/).at(-1) ?? path;

/** What each aspect of a run is, in a few words; the order is the order of telling. */
const ASPECTS: readonly (readonly [what: string, of: (run: RunFacts) => string])[] = [
  ["model", ({ model }) => `${model.name} (${model.dtype})`],
  ["layers", ({ model }) => String(model.layers)],
  ["clip", ({ video }) => basename(video.path)],
  ["frame order", ({ video }) => video.order ?? "as filmed"],
  ["part of the clip", ({ video }) => partOf(video.part)],
  ["frames", ({ grid }) => String(grid.frames)],
  ["tokens of a frame", ({ grid }) => `${grid.rows} x ${grid.columns}`],
  ["question", ({ prompt }) => prompt.question],
  [
    "options",
    ({ prompt }) => prompt.options.map(({ label, text }) => `(${label}) ${text}`).join(" "),
  ],
  ["right answer", ({ prompt }) => prompt.answer ?? "unknown"],
  ["prompt template", ({ prompt }) => prompt.template],
];

function partOf(part: RunFacts["video"]["part"]): string {
  if (part === null) return "all of it";
  return part[1] === null ? `from ${part[0]} s` : `${part[0]}-${part[1]} s`;
}

/** Aspects in which runs differ, and the names of those in which they agree. */
export function contrastsOf(runs: readonly RunFacts[]): {
  readonly different: readonly Contrast[];
  readonly same: readonly string[];
} {
  const told = ASPECTS.map(([what, of]) => ({ what, values: runs.map(of) }));
  const differs = ({ values }: Contrast) => new Set(values).size > 1;
  const different = told.filter(differs);
  // The rendered prompt can differ though all that it was made of is the same: another system text.
  const text = { what: "rendered prompt", values: runs.map(({ prompt }) => prompt.text) };
  const explained = ["question", "options", "prompt template"];
  if (differs(text) && !different.some(({ what }) => explained.includes(what))) {
    different.push({ ...text, values: runs.map((_, run) => `that of run ${run + 1}`) });
  }
  return {
    different,
    same: told.filter((aspect) => !differs(aspect)).map(({ what }) => what),
  };
}

/** Whether the runs were asked in other words, so that positions and options may not correspond. */
export function promptsDiffer(runs: readonly RunFacts[]): boolean {
  return new Set(runs.map(({ prompt }) => prompt.text)).size > 1;
}
