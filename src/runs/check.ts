import type { RunEvent, RunEventOf } from "../protocol/events.ts";
import { cellCount } from "../protocol/grid.ts";

type Started = RunEventOf<"run.started">;
type Span = readonly [start: number, end: number];
type Readings = Pick<RunEventOf<"layer.clean">, "lens" | "attention" | "mass">;

/** Positions that the token groups may name together, for each position of the prompt. */
const MAX_GROUPS_OF_A_POSITION = 64;

/**
 * Checks the events of a run against what its first one says of model, prompt and grid: what reads
 * them afterwards need not expect a layer, a position or a tensor that the model cannot have.
 */
export class RunCheck {
  #started: Started | undefined;

  /** What is wrong with the next event, as a sentence without its subject; undefined when it fits. */
  problem(event: RunEvent): string | undefined {
    if (event.type === "run.started") return this.#start(event);
    const started = this.#started;
    switch (event.type) {
      case "layer.clean":
      case "layer.branch":
        return started === undefined ? TOO_EARLY : readingProblem(started, event);
      case "branch.result":
        if (started === undefined) return TOO_EARLY;
        return (
          layerProblem(started, event.layer) ??
          (event.window.some(([, end]) => end > started.model.layers)
            ? `names layers beyond the model's ${started.model.layers}`
            : undefined)
        );
      case "video.frames":
        if (started === undefined) return TOO_EARLY;
        return event.frames.length > started.video.frames.length
          ? `holds ${event.frames.length} pictures of ${started.video.frames.length} frames`
          : undefined;
      default:
        return undefined;
    }
  }

  #start(event: Started): string | undefined {
    const problem = startProblem(event);
    if (problem !== undefined) return problem;
    const first = this.#started;
    if (first !== undefined && !isSameShape(first, event)) {
      return "starts a run of another model or prompt in the same file";
    }
    this.#started = event;
    return undefined;
  }
}

const TOO_EARLY = "comes before the event that starts the run";

function startProblem({ model, tokens, video }: Started): string | undefined {
  const { length, text, groups, grid } = tokens;
  if (model.layers < 1) return "says that the model has no layer";
  if (model.kvHeads > model.heads) return "says that the model has more key heads than heads";
  if (text.length > length) return `lists ${text.length} text tokens of ${length} positions`;
  if (text.some(({ position }) => position >= length)) {
    return `lists a text token beyond the prompt's ${length} positions`;
  }
  const cells = grid.frames * grid.rows * grid.columns;
  // A grid without cells is one of no size; more cells than positions need a list of those in use.
  if (cells > MAX_CELLS) return `has a grid of ${cells} cells, more than the ${MAX_CELLS} allowed`;
  if (cellCount(grid) > length) {
    return `has a grid of ${cellCount(grid)} tokens in a prompt of ${length} positions`;
  }
  if (grid.cells?.some((cell) => cell >= cells)) return `names a cell beyond the grid's ${cells}`;
  if (new Set(grid.cells).size !== (grid.cells?.length ?? 0))
    return "names a cell of the grid twice";
  if (video.frames.length === 0) return "was shown no frame";
  let named = 0;
  for (const { name, spans } of groups) {
    const problem = spansProblem(spans, length);
    if (problem !== undefined)
      return `${problem} in the group ${JSON.stringify(name.slice(0, 80))}`;
    named += covered(spans);
  }
  return named > MAX_GROUPS_OF_A_POSITION * length
    ? `has groups of ${named} positions together, of a prompt of ${length}`
    : undefined;
}

/** A grid may have as many cells as a prompt may have positions, times what compression leaves out. */
const MAX_CELLS = 4_194_304;

function isSameShape(a: Started, b: Started): boolean {
  return (
    a.model.layers === b.model.layers &&
    a.model.heads === b.model.heads &&
    a.tokens.length === b.tokens.length &&
    cellCount(a.tokens.grid) === cellCount(b.tokens.grid)
  );
}

function layerProblem({ model }: Started, layer: number): string | undefined {
  return layer < model.layers ? undefined : `is of layer ${layer} of a model with ${model.layers}`;
}

function readingProblem(
  started: Started,
  event: RunEventOf<"layer.clean"> | RunEventOf<"layer.branch">,
): string | undefined {
  const { lens, attention, mass }: Readings = event;
  const { length } = started.tokens;
  const { heads } = started.model;
  return (
    layerProblem(started, event.layer) ??
    (lens === undefined ? undefined : lensProblem(lens, length)) ??
    (attention === undefined ? undefined : attentionProblem(attention, length, heads)) ??
    (mass === undefined ? undefined : massProblem(mass, heads))
  );
}

function lensProblem(
  { positions, ids, probabilities }: NonNullable<Readings["lens"]>,
  length: number,
): string | undefined {
  const problem = spansProblem(positions, length);
  if (problem !== undefined) return `${problem} in its lens`;
  const rows = covered(positions);
  const [read = 0, k = 0] = ids.shape;
  if (ids.shape.length !== 2 || read !== rows || k > MAX_K) {
    return `has a lens of shape [${ids.shape}] for ${rows} positions`;
  }
  const [readAgain, kAgain] = probabilities.shape;
  return probabilities.shape.length === 2 && readAgain === read && kAgain === k
    ? undefined
    : `has a lens of shape [${ids.shape}] with probabilities of shape [${probabilities.shape}]`;
}

/** Words that a lens may list for each position. */
const MAX_K = 1_024;

function attentionProblem(
  { queries, weights, headAveraged }: NonNullable<Readings["attention"]>,
  length: number,
  heads: number,
): string | undefined {
  if (queries.some((query) => query >= length)) {
    return `has attention of a position beyond the prompt's ${length}`;
  }
  const wanted = [headAveraged ? 1 : heads, queries.length, length];
  return wanted.length === weights.shape.length && wanted.every((n, i) => n === weights.shape[i])
    ? undefined
    : `has attention of shape [${weights.shape}] instead of [${wanted}]`;
}

function massProblem(
  { queryGroups, keyGroups, mass }: NonNullable<Readings["mass"]>,
  heads: number,
): string | undefined {
  const wanted = [heads, queryGroups.length, keyGroups.length];
  return wanted.length === mass.shape.length && wanted.every((n, i) => n === mass.shape[i])
    ? undefined
    : `has attention mass of shape [${mass.shape}] instead of [${wanted}]`;
}

/** Spans lie inside the prompt, in order, none over another. */
function spansProblem(spans: readonly Span[], length: number): string | undefined {
  let after = 0;
  for (const [start, end] of spans) {
    if (end > length) return `names a position beyond the prompt's ${length}`;
    if (start < after) return "names positions out of order";
    after = end;
  }
  return undefined;
}

function covered(spans: readonly Span[]): number {
  return spans.reduce((sum, [start, end]) => sum + end - start, 0);
}
